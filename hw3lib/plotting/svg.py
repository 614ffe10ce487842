"""matplotlib's SVG made small: most of it are outlines of letters, to a precision nobody sees."""

from __future__ import annotations

import re
from itertools import count

NUMBER = re.compile(r"-?\d*\.\d{3,}(?![\w.])")
GLYPH = re.compile(r'd="([^"]*)" transform="scale\((0\.015625)\)"')  # 6,400 units an em
COARSER = 16  # of these units in one of ours: 400 an em, at 10 points a fortieth of a point
STEP = 0.01  # points; other coordinates are rounded to it


def compact(svg: str) -> str:
    """The same drawing without comments, line ends and unused names, in relative coordinates.

    Coordinates move by half of STEP at most, the outlines of letters by half of COARSER units.
    Other numbers are rounded to a hundredth, those below 1, which scale others, to four digits.
    """
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = GLYPH.sub(_glyph, svg)
    svg = re.sub(r' d="([^"]*)"', lambda path: f' d="{relative(path[1], STEP)}"', svg)
    svg = _short_names(NUMBER.sub(_rounded, svg))
    return re.sub(r"\s*\n\s*", " ", re.sub(r">\s+<", "><", svg))


def relative(path: str, step: float, unit: float | None = None) -> str:
    """A path of absolute M, L, Q, C and z in relative coordinates, rounded to multiples of `step`.

    unit : what a step is called in the result, `step` itself if None. Rounding does not add up:
           each point is rounded by itself. A path of other commands is left as it is.
    """
    if re.search(r"[^MLQCzZ\s\d.e+-]", path):
        return path
    unit, here, start, parts = step if unit is None else unit, (0, 0), (0, 0), []
    for command, numbers in re.findall(r"([MLQCzZ])([^MLQCzZ]*)", path):
        if command in "zZ":
            parts.append("z")
            here = start
            continue
        values = [round(float(v) / step) for v in numbers.split()]
        moved = [v - here[i % 2] for i, v in enumerate(values)]
        here = (values[-2], values[-1])
        start = here if command == "M" else start
        texts = [f"{unit * v:.6g}" for v in moved]
        joined = "".join(t if t[0] == "-" else f" {t}" for t in texts).lstrip()
        parts.append(command.lower() + joined)
    return "".join(parts)


def _glyph(found: re.Match) -> str:
    scale = float(found[2]) * COARSER
    return f'd="{relative(found[1], COARSER, 1)}" transform="scale({scale:g})"'


def _short_names(svg: str) -> str:
    """Names that something refers to become short ones, all others go."""
    used = dict.fromkeys(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    names = dict(zip(used, (f"n{i:x}" for i in count()), strict=False))
    svg = re.sub(r' id="([^"]*)"', lambda m: f' id="{names[m[1]]}"' if m[1] in names else "", svg)
    return re.sub(r'(href="|url\()#([^")]+)', lambda m: f"{m[1]}#{names[m[2]]}", svg)


def _rounded(number: re.Match) -> str:
    value = float(number[0])
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) >= 1 else f"{value:.4g}"
