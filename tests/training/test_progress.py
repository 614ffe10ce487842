"""Where progress is shown: a curve in a notebook only, else lines."""

from __future__ import annotations

from unittest.mock import MagicMock

import ipykernel  # noqa: F401  imported somewhere, as by a library
import IPython

from hw3lib.training import progress
from hw3lib.training.recipe import Recipe

RECIPE = Recipe(model="x", epochs=4)
ROW = {"train_loss": 1.5, "validation_loss": 1.25, "train_accuracy": 0.5,
       "validation_accuracy": 0.625, "seconds": 60.0}  # fmt: skip


def test_ipykernel_imported_is_no_notebook(capsys):
    reporter = progress.reporter("best", RECIPE)
    reporter.resumed(1)
    reporter.epoch([ROW, ROW])
    reporter.close()
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "best: goes on after epoch 1"
    assert told[1] == ("best  epoch 2/4, 2 min left  loss 1.500 / 1.250  "
                       "accuracy 50.0% / 62.5%  60.0 s")  # fmt: skip


def test_in_a_kernel_a_curve_is_redrawn_in_one_output(monkeypatch):
    class Shell:
        kernel = object()

    handle, shown = MagicMock(), []
    handle.update.side_effect = lambda output, **options: shown.append(output)
    with monkeypatch.context() as kernel:
        kernel.setattr(IPython, "get_ipython", Shell)
        kernel.setattr("IPython.display.display", lambda *_, **options: handle)
        reporter = progress.reporter("best", RECIPE)
    reporter.epoch([ROW])
    reporter.epoch([ROW, ROW])
    reporter.close()
    assert len(shown) == 3 and len(shown[0].axes[0].lines) == 2
