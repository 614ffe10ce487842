"""Networks: built by name (networks), trained and on disk (network), described (describe)."""

from hw3lib.models.networks import MODELS, build, count_parameters

__all__ = ["MODELS", "build", "count_parameters"]
