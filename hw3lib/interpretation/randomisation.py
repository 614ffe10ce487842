"""Networks with random weights, and whether an attribution notices them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from hw3lib.interpretation.attribution import (
    METHODS,
    attribute_all,
    frozen_copy,
    importance,
    layers,
)
from hw3lib.interpretation.checks import Values, rank_similarity

STAGES = 3  # of a cascade


def weighted(network, inputs: Tensor) -> list[str]:
    """Names of the layers with parameters, in the order in which they run."""
    ran = layers(network, inputs)
    return [layer.name for layer in ran if next(layer.module.parameters(), None) is not None]


def randomised(network, inputs: Tensor, *, names: Iterable[str] | None = None, seed: int = 0):
    """A copy of the Network (or nn.Module) whose layers `names` (default: all) have random weights.

    The batch norms are then set to the statistics of `inputs` (B, C, H, W), layer by layer, so
    that activations keep their size and the copy compares fairly. A layer's draw depends on
    `seed` and its name alone: a cascade draws it the same way at every step. The global random
    state stays as it was.
    """
    model = frozen_copy(network)
    chosen = list(weighted(model, inputs) if names is None else names)
    with torch.random.fork_rng(devices=[inputs.device] if inputs.is_cuda else []):
        for name in chosen:
            torch.manual_seed(zlib.crc32(name.encode()) ^ seed)
            model.get_submodule(name).reset_parameters()
    _calibrate(model, inputs, set(chosen))
    return model if isinstance(network, nn.Module) else replace(network, model=model)


@torch.no_grad()
def _calibrate(model: nn.Module, inputs: Tensor, changed: set[str]) -> None:
    """Batch norms at or behind the first changed layer take the statistics of `inputs`."""
    order = [layer.name for layer in layers(model, inputs)]
    first = min((order.index(name) for name in changed), default=len(order))
    modules = [model.get_submodule(name) for name in order[first:]]
    norms = [m for m in modules if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # plain average: one batch gives that batch's statistics
        norm.train()
    if len(inputs) > 1:
        model(inputs)
    for norm in norms:
        norm.eval()


def cascade(network, inputs: Tensor) -> list[list[str]]:
    """Layers to randomise at each stage: the last ones first, at the last stage all of them."""
    names = weighted(network, inputs)[::-1]
    cuts = np.unique(np.linspace(1, len(names), min(STAGES, len(names))).round().astype(int))
    return [names[:cut] for cut in cuts]


def randomisation_check(
    network,
    inputs: Tensor,
    target,
    *,
    methods: Iterable[str] = tuple(METHODS),
    options: Mapping[str, dict] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    calibration: Tensor | None = None,
) -> pd.DataFrame:
    """Randomise the layers from the last to the first on a copy: does the attribution notice?

    Adebayo et al. 2018, Sanity Checks for Saliency Maps (arXiv:1810.03292), cascading, each step
    with one random network for each of `seeds`.

    calibration : (B, C, H, W) images that set the batch norms of the copies, default `inputs`

    Returns
    -------
    DataFrame with one row for each method, stage and image: method, stage (from 1), randomised
    (share of the layers with weights), image, similarity (rank correlation of the importance
    with the network's own, mean over the random networks).
    """
    methods = list(methods)
    calibration = inputs if calibration is None else calibration
    steps = cascade(network, inputs)

    def maps(model) -> Values:
        found = attribute_all(model, inputs, target, methods=methods, options=options)
        return {m: importance(m, v) for m, v in found.items()}

    own, frames = maps(network), []
    for stage, names in enumerate(steps, start=1):
        others = [maps(randomised(network, calibration, names=names, seed=s)) for s in seeds]
        for m in methods:
            row = {
                "method": m, "stage": stage, "randomised": len(names) / len(steps[-1]),
                "image": np.arange(len(inputs)),
                "similarity": np.mean([rank_similarity(own[m], o[m]) for o in others], axis=0),
            }  # fmt: skip
            frames.append(pd.DataFrame(row))
    return pd.concat(frames, ignore_index=True)


def half_randomised(check: pd.DataFrame) -> Values:
    """(N,) rank correlations of each method once half of the layers are random, for `judge`."""
    stage = check.loc[check["randomised"] >= 0.5, "stage"].min()
    rows = check[check["stage"] == stage].groupby("method", sort=False)["similarity"]
    return {method: values.to_numpy() for method, values in rows}
