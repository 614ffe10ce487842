"""One look for every figure: fonts with Chinese, colours that survive grey print."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from hw3lib.paths import ROOT

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FONT = ROOT / "report" / "fonts" / "NotoSansTC-Regular.otf"
TEXT_WIDTH = 6.7  # inches: the text block of the A4 report

# Okabe & Ito's palette (https://jfly.uni-koeln.de/color/), told apart by colour-blind readers.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#222222",
)  # fmt: skip
SEQUENTIAL, DIVERGING = "Blues", "RdBu_r"


@cache
def _family() -> str:
    from matplotlib import font_manager

    for file in (FONT, FONT.with_name("NotoSansTC-Bold.otf")):
        font_manager.fontManager.addfont(file)
    return font_manager.FontProperties(fname=FONT).get_name()


def house_style() -> AbstractContextManager[None]:
    """Matplotlib settings of the report, undone on leaving."""
    import matplotlib.pyplot as plt

    return plt.rc_context(_settings())


def apply_house_style() -> None:
    """The same for all figures from now on, as a notebook wants it."""
    import matplotlib.pyplot as plt

    plt.rcParams.update(_settings())


def _settings() -> dict[str, object]:
    return {
        "font.family": _family(),
        "font.size": 8.5,
        "axes.titlesize": 9,
        "axes.unicode_minus": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": False,
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
        "svg.fonttype": "path",
        "mathtext.fontset": "stix",
    }


def subplots(
    rows: int = 1, columns: int = 1, *, width: float = TEXT_WIDTH, height: float = 3.0, **options
) -> tuple[Figure, Axes]:
    """`plt.subplots` in the house style; width and height in inches."""
    import matplotlib.pyplot as plt

    with house_style():
        return plt.subplots(rows, columns, figsize=(width, height), **options)
