"""Progress of a training: a bar in a terminal, lines in a log, a live curve in JupyterLab."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

from hw3lib.recipe import Recipe


def to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def reporter(name: str, recipe: Recipe, progress: bool | Callable[[str], None] = True) -> Reporter:
    """The reporter that suits where this process runs; none, or lines for the function given."""
    if callable(progress):
        return Lines(name, recipe, progress)
    if not progress:
        return Reporter(name, recipe)
    if "ipykernel" in sys.modules and not os.environ.get("HW3_BATCH"):
        return LiveCurve(name, recipe)
    if sys.stderr.isatty() and os.environ.get("LOKY_WORKER_COUNT") is None:
        return Bar(name, recipe)
    return Lines(name, recipe)


@dataclass
class Reporter:
    """Says nothing; the others say more. `history` is as in training.State."""

    name: str
    recipe: Recipe
    tell: Callable[[str], None] = to_stderr

    def resumed(self, epochs: int) -> None:
        if type(self) is not Reporter:
            self.tell(f"{self.name}: goes on after epoch {epochs}")

    def epoch(self, history: list[dict[str, float]]) -> None:
        pass

    def close(self) -> None:
        pass


class Lines(Reporter):
    def epoch(self, history: list[dict[str, float]]) -> None:
        done = f"{self.name}  epoch {len(history)}/{self.recipe.epochs}"
        self.tell(f"{done}  {summary(history[-1])}")


class Bar(Reporter):
    def __init__(self, name: str, recipe: Recipe) -> None:
        from tqdm import tqdm

        super().__init__(name, recipe)
        self.bar = tqdm(total=recipe.epochs, desc=name, unit="epoch")

    def epoch(self, history: list[dict[str, float]]) -> None:
        self.bar.update(len(history) - self.bar.n)
        self.bar.set_postfix_str(summary(history[-1]))

    def close(self) -> None:
        self.bar.close()


class LiveCurve(Reporter):
    """Redraws loss and accuracy after every epoch in one output of the notebook."""

    def __init__(self, name: str, recipe: Recipe) -> None:
        from IPython.display import display

        super().__init__(name, recipe)
        self.handle = display({"text/plain": f"{name} …"}, raw=True, display_id=True)

    def epoch(self, history: list[dict[str, float]]) -> None:
        import matplotlib.pyplot as plt
        import pandas as pd

        from hw3lib.plotting import history
        from hw3lib.plotting.style import house_style
        from hw3lib.text import Text

        with house_style():
            fig = history({Text(self.name, self.name): pd.DataFrame(history)})
            self.handle.update(fig)
        plt.close(fig)

    def close(self) -> None:
        self.handle.update({"text/plain": f"{self.name} ✓"}, raw=True)


def summary(row: dict[str, float]) -> str:
    """Loss and accuracy of one epoch, training / validation (nan where that is trained on)."""
    return (
        f"loss {row['train_loss']:.3f} / {row['validation_loss']:.3f}  "
        f"accuracy {row['train_accuracy']:.1%} / {row['validation_accuracy']:.1%}  "
        f"{row['seconds']:.1f} s"
    )
