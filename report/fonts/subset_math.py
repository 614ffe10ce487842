"""Make STIXTwoMath.woff2 beside this script: the mathematics of the web page.

MathML needs a font with a MATH table, which many systems lack. Run by hand, and only when the set
of characters changes; the result is committed:

    pip install "fonttools[woff]" ziamath    # the latter carries STIX Two Math and is for this only
    python report/fonts/subset_math.py

STIX Two Math: Copyright 2001-2020 The STIX Fonts Project Authors, SIL Open Font License 1.1.
Kept: letters, Greek, mathematical letters, operators, arrows, brackets and all their sizes.
"""

from __future__ import annotations

from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

RANGES = (
    (0x0020, 0x007E), (0x00A0, 0x00FF), (0x02C6, 0x02DD), (0x0300, 0x0338), (0x0391, 0x03F6),
    (0x2010, 0x2044), (0x2057, 0x2057), (0x2061, 0x2064), (0x20D0, 0x20DC), (0x2102, 0x2138),
    (0x2190, 0x21D5), (0x2200, 0x22FF), (0x2308, 0x230B), (0x23B4, 0x23B5), (0x23DC, 0x23E1),
    (0x25A0, 0x25CF), (0x27E6, 0x27EF), (0x27F5, 0x27FA), (0x2A00, 0x2A0C), (0x2A7D, 0x2AB0),
    (0x1D400, 0x1D49F), (0x1D4D0, 0x1D503), (0x1D538, 0x1D56B), (0x1D6A4, 0x1D7E1),
)  # fmt: skip


def main() -> None:
    import ziamath

    source = Path(ziamath.__file__).parent / "fonts" / "STIXTwoMath-Regular.ttf"
    font = TTFont(source, recalcTimestamp=False)
    options = Options()
    options.layout_features = ["ccmp", "dtls", "flac", "mark", "mkmk", "ssty"]
    options.hinting = False
    options.notdef_outline = True
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=[c for first, last in RANGES for c in range(first, last + 1)])
    subsetter.subset(font)
    font.flavor = "woff2"
    font.save(Path(__file__).with_name("STIXTwoMath.woff2"))


if __name__ == "__main__":
    main()
