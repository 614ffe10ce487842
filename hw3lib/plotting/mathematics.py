"""Figures of notebook 09: windows, the three paths, a Jacobian, the way to AdaGrad."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hw3lib.plotting import style
from hw3lib.text import tr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "osD^"


def windows(width: int, kernel: int, stride: int, *, padding: int = 0) -> Figure:
    """One axis of a convolution: its positions, the windows that fit, and the one that does not.

    All in positions; padded positions are grey, those that no window reads are hatched.
    """
    from matplotlib.patches import Rectangle

    total = width + 2 * padding
    count = (total - kernel) // stride + 1
    fig, ax = style.subplots(height=0.42 * (count + 3))
    read = {j * stride + k for j in range(count) for k in range(kernel)}
    for x in range(total):
        padded = not padding <= x < total - padding
        face, hatch = ("#D9D9D9" if padded else "white"), ("" if x in read else "////")
        ax.add_patch(Rectangle((x, 0), 1, 0.7, facecolor=face, edgecolor=style.BLACK, hatch=hatch))
        ax.text(x + 0.5, 0.35, str(x), ha="center", va="center", backgroundcolor=face)
    for j in range(count + 1):
        fits = j < count
        colour, line = (style.BLUE, "-") if fits else (style.RED, "--")
        box = {"facecolor": "#D6E6F2" if fits else "white", "edgecolor": colour, "linestyle": line}
        ax.add_patch(Rectangle((j * stride, -0.9 - 0.8 * j), kernel, 0.55, linewidth=1.2, **box))
        told = tr(f"視窗 {j}", f"window {j}")
        told = told if fits else told + tr("：放不下", ": does not fit")
        ax.text(j * stride + kernel / 2, -0.63 - 0.8 * j, told, ha="center", va="center")
    ax.set(xlim=(-0.1, max(total, count * stride + kernel) + 0.1), ylim=(-1 - 0.8 * count, 0.75))
    ax.set_axis_off()
    return fig


def three_paths() -> Figure:
    """Batch normalisation as a graph: three paths from x_i to the loss, in dashes and colours."""
    places = {
        "x": (0, 0), "var": (2.1, -0.85), "mu": (2.1, -1.9), "xhat": (4.1, 0), "y": (5.5, 0),
        "loss": (6.5, 0),
    }  # fmt: skip
    names = {
        "x": "$x_i$", "mu": r"$\mu_B$", "var": r"$\sigma_B^2$",
        "xhat": r"$\hat{x}_1\,...\,\hat{x}_m$", "y": r"$y_1\,...\,y_m$", "loss": r"$\ell$",
    }  # fmt: skip
    paths = (
        ("x", "xhat", style.BLUE, "-"), ("x", "var", style.GREEN, "--"),
        ("var", "xhat", style.GREEN, "--"), ("x", "mu", style.ORANGE, ":"),
        ("mu", "xhat", style.ORANGE, ":"), ("mu", "var", "#8A8A8A", "-."),
        ("xhat", "y", style.BLACK, "-"), ("y", "loss", style.BLACK, "-"),
    )  # fmt: skip
    fig, ax = style.subplots(height=1.9)
    for start, end, colour, line in paths:
        arrow = {"arrowstyle": "-|>", "color": colour, "linestyle": line, "linewidth": 1.5}
        gap = {"shrinkA": 14, "shrinkB": 30 if end == "xhat" else 27 if end == "y" else 18}
        ax.annotate("", places[end], places[start], arrowprops=arrow | gap)
    for name, place in places.items():
        box = {"boxstyle": "round", "facecolor": "white", "edgecolor": style.BLACK}
        ax.text(*place, names[name], ha="center", va="center", fontsize=11, bbox=box)
    told = r"$\mu_B\rightarrow\sigma_B^2$: " + tr("總和為零", "sums to zero")
    ax.text(2.5, -2.0, told, va="center", fontsize=7.5, color="#555555")
    ax.set(xlim=(-0.4, 6.7), ylim=(-2.2, 0.4))
    ax.set_axis_off()
    return fig


def softmax_jacobian(logits: Sequence[float]) -> Figure:
    """The Jacobian of the softmax at these logits as colours and numbers, positive and negative."""
    share = np.exp(np.asarray(logits) - np.max(logits))
    share /= share.sum()
    jacobian = np.diag(share) - np.outer(share, share)
    fig, ax = style.subplots(width=4.6, height=3.9)
    limit = np.abs(jacobian).max()
    ax.imshow(jacobian, cmap=style.DIVERGING, vmin=-limit, vmax=limit)
    for i, row in enumerate(jacobian):
        for j, value in enumerate(row):
            colour = "white" if abs(value) > 0.6 * limit else style.BLACK
            ax.text(j, i, f"{value:+.3f}", ha="center", va="center", fontsize=7, color=colour)
    classes = range(len(share))
    ax.set_xticks(classes, [f"$z_{k + 1}$" for k in classes])
    ax.set_yticks(classes, [rf"$\hat{{y}}_{k + 1}$" for k in classes])
    ax.tick_params(length=0, labelsize=10)
    return fig


def to_adagrad(
    gaps: Sequence[float],
    steps: Sequence[int],
    deviations: np.ndarray,
    *,
    weights: Sequence[float] = (0.5, 0.9, 0.99),
    length: int = 20,
) -> Figure:
    """Left: weights of past gradients after `length` steps. Right: Adam's distance from AdaGrad.

    gaps, steps, deviations : 1 - beta_2 (n,), t (k,), relative deviation of the step (n, k)
    weights : the beta_2 whose weights are drawn, beside the uniform 1/t
    """
    fig, (left, right) = style.subplots(1, 2, height=2.9)
    _weights(left, weights, length)
    gaps = np.asarray(gaps)
    colours = (style.BLUE, style.ORANGE, style.GREEN, style.PURPLE)
    for column, t, colour, marker in zip(deviations.T, steps, colours, MARKERS, strict=False):
        right.loglog(gaps, column, color=colour, marker=marker, markersize=3, label=f"$t={t}$")
        right.loglog(gaps, gaps * (t - 1) / 4, color=colour, linestyle=":", linewidth=1)
    right.invert_xaxis()
    right.set(
        xlabel=r"$1-\beta_2$",
        ylabel=tr("步長相對差異", "relative difference of the step"),
    )
    right.legend(fontsize=7.5)
    return fig


def _weights(ax: Axes, weights: Sequence[float], length: int) -> None:
    i = np.arange(1, length + 1)
    for beta, colour, marker in zip(
        weights, (style.BLUE, style.ORANGE, style.GREEN), MARKERS, strict=False
    ):
        share = (1 - beta) * beta ** (length - i) / (1 - beta**length)
        ax.plot(i, share, color=colour, marker=marker, markersize=3, label=rf"$\beta_2={beta}$")
    ax.axhline(1 / length, color=style.BLACK, linestyle="--", linewidth=1, label="$1/t$")
    ax.set(
        xlabel=tr("$i$（梯度的序號）", "$i$ (number of the gradient)"),
        ylabel=tr(r"$\hat{v}_t$ 中的權重", r"weight in $\hat{v}_t$"),
    )
    ax.legend(fontsize=7.5)
