"""Progress of a training: a bar in a terminal, lines in a log, a live curve in JupyterLab."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from tqdm import tqdm

from hw3lib.training.recipe import Recipe


def to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def in_notebook() -> bool:
    """Whether this process is a kernel; a library that imports ipykernel does not make it one."""
    ipython = sys.modules.get("IPython")
    return hasattr(ipython and ipython.get_ipython(), "kernel")


def reporter(name: str, recipe: Recipe, progress: bool | Callable[[str], None] = True) -> Reporter:
    """The reporter that suits where this process runs; none, or lines for the function given."""
    if callable(progress):
        return Lines(name, recipe, progress)
    if not progress:
        return Reporter(name, recipe)
    if in_notebook() and not os.environ.get("HW3_BATCH"):
        return LiveCurve(name, recipe)
    if sys.stderr.isatty() and os.environ.get("LOKY_WORKER_COUNT") is None:
        return Bar(name, recipe)
    return Lines(name, recipe)


class Reporter:
    """Says nothing; the others say more. `history` is as in loop.State."""

    def __init__(self, name: str, recipe: Recipe, tell: Callable[[str], None] | None = None):
        self.name, self.recipe, self.tell = name, recipe, tell

    def resumed(self, epochs: int) -> None:
        if self.tell:
            self.tell(f"{self.name}: goes on after epoch {epochs}")

    def epoch(self, history: list[dict[str, float]]) -> None:
        pass

    def close(self) -> None:
        pass


class Lines(Reporter):
    def __init__(self, name: str, recipe: Recipe, tell: Callable[[str], None] = to_stderr):
        super().__init__(name, recipe, tell)

    def epoch(self, history: list[dict[str, float]]) -> None:
        self.tell(f"{self.name}  {summary(history, self.recipe)}")


class Bar(Reporter):
    def __init__(self, name: str, recipe: Recipe) -> None:
        super().__init__(name, recipe, to_stderr)
        self.bar = tqdm(total=recipe.epochs, desc=name, unit="epoch")

    def epoch(self, history: list[dict[str, float]]) -> None:
        self.bar.update(len(history) - self.bar.n)
        self.bar.set_postfix_str(figures(history[-1]))

    def close(self) -> None:
        self.bar.close()


class LiveCurve(Reporter):
    """Redraws loss and accuracy after every epoch in one output of the notebook."""

    def __init__(self, name: str, recipe: Recipe) -> None:
        from IPython.display import display  # a notebook's, there when this is made

        super().__init__(name, recipe, to_stderr)
        self.handle = display({"text/plain": f"{name} …"}, raw=True, display_id=True)

    def epoch(self, history: list[dict[str, float]]) -> None:
        import matplotlib.pyplot as plt

        fig, axes = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained")
        for ax, what in zip(axes, ("loss", "accuracy"), strict=True):
            for split in ("train", "validation"):
                ax.plot([row[f"{split}_{what}"] for row in history], label=split)
            ax.set(xlabel="epoch", title=what)
        axes[0].legend()
        fig.suptitle(f"{self.name}: {summary(history, self.recipe)}", fontsize=9)
        self.handle.update(fig)
        plt.close(fig)

    def close(self) -> None:
        self.handle.update({"text/plain": f"{self.name} ✓"}, raw=True)


def summary(history: list[dict[str, float]], recipe: Recipe) -> str:
    """Epoch of total, the time left by the epochs so far, and the last epoch's figures."""
    left = sum(row["seconds"] for row in history) / len(history) * (recipe.epochs - len(history))
    told = f"epoch {len(history)}/{recipe.epochs}, {duration(left)} left" if left else "last epoch"
    return f"{told}  {figures(history[-1])}"


def duration(seconds: float) -> str:
    """3 h 20 min, 12 min, 40 s."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def figures(row: dict[str, float]) -> str:
    """Loss and accuracy of one epoch, training / validation (nan where that is trained on)."""
    return (
        f"loss {row['train_loss']:.3f} / {row['validation_loss']:.3f}  "
        f"accuracy {row['train_accuracy']:.1%} / {row['validation_accuracy']:.1%}  "
        f"{row['seconds']:.1f} s"
    )
