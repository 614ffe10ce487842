"""Progress of a training: a line an epoch, in JupyterLab a live curve."""

from __future__ import annotations

import sys

from hw3lib.training.recipe import Recipe


def to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def in_notebook() -> bool:
    """Whether this process is a kernel; a library that imports ipykernel does not make it one."""
    ipython = sys.modules.get("IPython")
    return hasattr(ipython and ipython.get_ipython(), "kernel")


def reporter(name: str, recipe: Recipe) -> Lines:
    """The reporter that suits where this process runs."""
    return (LiveCurve if in_notebook() else Lines)(name, recipe)


class Lines:
    """A line an epoch. `history` is as in loop.State."""

    def __init__(self, name: str, recipe: Recipe):
        self.name, self.recipe = name, recipe

    def resumed(self, epochs: int) -> None:
        to_stderr(f"{self.name}: goes on after epoch {epochs}")

    def epoch(self, history: list[dict[str, float]]) -> None:
        to_stderr(f"{self.name}  {summary(history, self.recipe)}")

    def close(self) -> None:
        pass


class LiveCurve(Lines):
    """Redraws loss and accuracy after every epoch in one output of the notebook."""

    def __init__(self, name: str, recipe: Recipe):
        from IPython.display import display  # a notebook's, there when this is made

        super().__init__(name, recipe)
        self.handle = display({"text/plain": f"{name} …"}, raw=True, display_id=True)

    def epoch(self, history: list[dict[str, float]]) -> None:
        import matplotlib.pyplot as plt  # takes a second that a training without it need not wait

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
    """Epoch of total, the time left by the epochs so far, and the last epoch's figures.

    Losses and accuracies are training / validation, nan where validation is trained on.
    """
    left = sum(row["seconds"] for row in history) / len(history) * (recipe.epochs - len(history))
    minutes = f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s"
    told = f"epoch {len(history)}/{recipe.epochs}, {minutes} left" if left else "last epoch"
    row = history[-1]
    return (
        f"{told}  loss {row['train_loss']:.3f} / {row['validation_loss']:.3f}  "
        f"accuracy {row['train_accuracy']:.1%} / {row['validation_accuracy']:.1%}  "
        f"{row['seconds']:.1f} s"
    )
