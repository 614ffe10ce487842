"""Figures of notebook 09: the windows of a convolution, the paths through a normalised batch."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hw3lib.plotting import style
from hw3lib.plotting.style import label
from hw3lib.text import Text


def windows(width: int, kernel: int, stride: int) -> Figure:
    """One axis of a convolution: its positions, the windows that fit, and the one that does not.

    All in positions; those that no window reads are hatched.
    """
    count = (width - kernel) // stride + 1
    fig, ax = style.subplots(height=0.42 * (count + 3))
    read = {j * stride + k for j in range(count) for k in range(kernel)}
    for x in range(width):
        hatch = "" if x in read else "////"
        ax.add_patch(Rectangle((x, 0), 1, 0.7, fc="white", ec=style.BLACK, hatch=hatch))
        ax.text(x + 0.5, 0.35, str(x), ha="center", va="center", backgroundcolor="white")
    for j in range(count + 1):
        fits = j < count
        colour, line = (style.BLUE, "-") if fits else (style.PURPLE, "-.")
        box = {"facecolor": "#D6E6F2" if fits else "white", "edgecolor": colour, "linestyle": line}
        ax.add_patch(Rectangle((j * stride, -0.9 - 0.8 * j), kernel, 0.55, linewidth=1.2, **box))
        told = Text(f"視窗 {j}", f"window {j}")
        if not fits:
            told = Text(f"{told.zh}：放不下", f"{told.en}: does not fit")
        middle = (j * stride + kernel / 2, -0.63 - 0.8 * j)
        ax.text(*middle, label(told, " "), ha="center", va="center")
    ax.set(xlim=(-0.1, max(width, count * stride + kernel) + 0.1), ylim=(-1 - 0.8 * count, 0.75))
    ax.set_axis_off()
    return fig


def three_paths() -> Figure:
    """Batch normalisation as a graph: three paths from x_i to the loss, in dashes and colours."""
    places = {
        "x": (0, 0, "$x_i$"), "var": (2.1, -0.7, r"$\sigma_B^2$"), "mu": (2.1, -2, r"$\mu_B$"),
        "xhat": (4.1, 0, r"$\hat{x}_1\,...\,\hat{x}_m$"), "y": (5.5, 0, r"$y_1\,...\,y_m$"),
        "loss": (6.5, 0, r"$\ell$"),
    }  # fmt: skip
    paths = (
        ("x", "xhat", style.BLUE, "-"), ("x", "var", style.GREEN, "--"),
        ("var", "xhat", style.GREEN, "--"), ("x", "mu", style.ORANGE, ":"),
        ("mu", "xhat", style.ORANGE, ":"), ("mu", "var", style.PURPLE, "-."),
        ("xhat", "y", style.BLACK, "-"), ("y", "loss", style.BLACK, "-"),
    )  # fmt: skip
    fig, ax = style.subplots(height=1.6)
    box = {"boxstyle": "round", "facecolor": "white", "edgecolor": style.BLACK}
    boxes = {name: ax.text(*place, ha="center", va="center", fontsize=11, bbox=box)
             for name, place in places.items()}  # fmt: skip
    for start, end, colour, line in paths:
        arrow = {"arrowstyle": "-|>", "color": colour, "linestyle": line, "linewidth": 1.5,
                 "shrinkA": 0, "shrinkB": 0, "patchA": boxes[start].get_bbox_patch(),
                 "patchB": boxes[end].get_bbox_patch()}  # fmt: skip
        ax.annotate("", places[end][:2], places[start][:2], arrowprops=arrow)
    way = r"$\mu_B\rightarrow\sigma_B^2$"
    told = Text(f"{way}：總和為零", f"{way}: sums to zero")
    ax.text(2.5, -2.1, label(told, " "), va="center", fontsize=9, color=style.PURPLE)
    ax.set(xlim=(-0.4, 6.7), ylim=(-2.3, 0.3))
    ax.set_axis_off()
    return fig
