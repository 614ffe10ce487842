"""Make the font files beside this script: Noto Sans TC and STIX Two Math, cut to what is needed.

Run by hand, and only when the set of characters changes; the result is committed:

    pip install "fonttools[woff]" manimgx-fonts-cjk ziamath    # the last two only for this script
    python report/fonts/subset.py

Noto Sans TC, for all texts: manimgx-fonts-cjk carries the variable Noto Sans CJK (OFL.txt here).
Kept: Big5 level 1 (5,401 characters), some rarer ones of science and of people's names, Big5's
symbols, Latin, Greek, Cyrillic, punctuation, mathematical operators, arrows, box drawing, check
marks. Dropped: hints, vertical setting and the glyph forms of other regions (locl). The outlines
are those of the Taiwan face. Curly quotes are the narrow ones: Chinese as written in Taiwan quotes
with 「」, so they stand in English only.

STIX Two Math, for the web page: MathML needs a font with a MATH table, which many systems lack;
ziamath carries it. Kept: letters, Greek, operators, arrows, brackets and all their sizes.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

FOLDER = Path(__file__).resolve().parent
WEIGHTS = {"Regular": 400, "Bold": 700}
FACE = 3  # of the collection: JP, KR, SC, TC, HK
RANGES = (
    (0x0020, 0x007E), (0x00A0, 0x017F), (0x018F, 0x0192), (0x01A0, 0x01B0), (0x01CD, 0x01DC),
    (0x0250, 0x02FF), (0x0300, 0x036F), (0x0370, 0x03FF), (0x0400, 0x045F), (0x1E00, 0x1EFF),
    (0x2000, 0x206F), (0x2070, 0x209F), (0x20A0, 0x20BF), (0x2100, 0x218F), (0x2190, 0x21FF),
    (0x2200, 0x22FF), (0x2300, 0x23FF), (0x2460, 0x24FF), (0x2500, 0x257F), (0x2580, 0x259F),
    (0x25A0, 0x25FF), (0x2600, 0x26FF), (0x2700, 0x27BF), (0x27E6, 0x27EF), (0x2A00, 0x2AFF),
    (0x2B00, 0x2BFF), (0x3000, 0x303F), (0x3105, 0x312F), (0xFE30, 0xFE4F), (0xFF00, 0xFFEF),
)  # fmt: skip
RARER = (
    "熵閾噘顴糅"
    "瑀瑄璇瑋琬玹珺芃芊苡茜莛葳蓁蕎晟暐宬彣翊叡槿溱澔灝瀅炘煒燁珈忻旻劭劼倢亘伃佟婕嬅妏娸媗垚堃鈺鋐鎧鏵"
    "鑫霈騏龢峯鄔闞隗喆淼犇琇琤瑒琁玠昶晧淯澐灃烜焄焱熠燊祤禕秝竑筱緁翃芮菀蒨酆闓靚頎鯤塏姮婧嫚寗旼昺晢姵"
    "婞妘姸姈潁澂珩珽璠瓈昉曈炅煇峮鈁鉦銥鋆錞錩鍇顗驊驤菡萁萩蒔蘅譓諠"
)
FEATURES = ["kern", "palt", "halt", "mark", "mkmk", "ccmp", "liga", "frac", "pnum", "tnum"]
MATH_RANGES = (
    (0x0020, 0x007E), (0x00A0, 0x00FF), (0x02C6, 0x02DD), (0x0300, 0x0338), (0x0391, 0x03F6),
    (0x2010, 0x2044), (0x2057, 0x2057), (0x2061, 0x2064), (0x20D0, 0x20DC), (0x2102, 0x2138),
    (0x2190, 0x21D5), (0x2200, 0x22FF), (0x2308, 0x230B), (0x23B4, 0x23B5), (0x23DC, 0x23E1),
    (0x25A0, 0x25CF), (0x27E6, 0x27EF), (0x27F5, 0x27FA), (0x2A00, 0x2A0C), (0x2A7D, 0x2AB0),
    (0x1D400, 0x1D49F), (0x1D4D0, 0x1D503), (0x1D538, 0x1D56B), (0x1D6A4, 0x1D7E1),
)  # fmt: skip
MATH_FEATURES = ["ccmp", "dtls", "flac", "mark", "mkmk", "ssty"]


def big5(first: int, last: int) -> set[int]:
    """The code points of Big5's rows first..last (both bytes)."""
    found = set()
    for high in range(first >> 8, (last >> 8) + 1):
        for low in (*range(0x40, 0x7F), *range(0xA1, 0xFF)):
            if first <= high << 8 | low <= last:
                found.add(ord(bytes((high, low)).decode("cp950")))
    return found


def within(ranges: tuple[tuple[int, int], ...]) -> set[int]:
    return {code for first, last in ranges for code in range(first, last + 1)}


def characters() -> set[int]:
    rarer = {ord(c) for c in RARER}
    return big5(0xA140, 0xA3BF) | big5(0xA440, 0xC67E) | rarer | within(RANGES)


def face(weight: int):
    """The subset at one weight, as a static CFF font."""
    import manimgx_fonts_cjk
    from fontTools.cffLib.CFF2ToCFF import convertCFF2ToCFF
    from fontTools.varLib import instancer

    source = Path(manimgx_fonts_cjk.__file__).parent / "NotoSansCJK-VF.otf.ttc"
    font = TTFont(source, fontNumber=FACE, lazy=True)
    cut(font, "pwid", hinting=True)  # the instancer needs the hints' operators still there
    font = reread(instancer.instantiateVariableFont(font, {"wght": weight}))
    _ = font["CFF2"].cff.topDictIndex[0].CharStrings  # read while it still counts as CFF2
    convertCFF2ToCFF(font)
    font = reread(font)
    narrow_quotes(font)
    cut(font, hinting=False)
    return font


def narrow_quotes(font) -> None:
    table = font["GSUB"].table
    records = table.FeatureList.FeatureRecord
    lookups = {i for r in records if r.FeatureTag == "pwid" for i in r.Feature.LookupListIndex}
    for index in lookups:
        for sub in table.LookupList.Lookup[index].SubTable:
            mapping = getattr(sub, "ExtSubTable", sub).mapping
            for cmap in font["cmap"].tables:
                for code in (0x2018, 0x2019, 0x201C, 0x201D):
                    if cmap.isUnicode() and cmap.cmap.get(code) in mapping:
                        cmap.cmap[code] = mapping[cmap.cmap[code]]


def reread(font):
    """The font as its file would be read: fontTools converts only what was read so."""
    buffer = BytesIO()
    font.save(buffer)
    return TTFont(BytesIO(buffer.getvalue()), recalcTimestamp=False, recalcBBoxes=False)


def cut(font, *features: str, hinting: bool) -> None:
    options = Options()
    options.layout_features = [*FEATURES, *features]
    options.hinting = hinting
    options.desubroutinize = True
    options.drop_tables += ["VORG", "vhea", "vmtx", "VVAR", "DSIG"]
    options.name_IDs = [0, 5, 13, 14]
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=characters())
    subsetter.subset(font)


def rename(font, style: str) -> None:
    """Family "Noto Sans TC" with a Regular and a Bold, as every program expects."""
    table = font["name"]
    version = table.getDebugName(5)
    licence = {i: table.getDebugName(i) for i in (0, 13, 14)}
    table.names = []
    names = {
        1: "Noto Sans TC", 2: style, 3: f"NotoSansTC-{style};subset", 4: f"Noto Sans TC {style}",
        5: version, 6: f"NotoSansTC-{style}", **licence,
    }  # fmt: skip
    for identifier, text in names.items():
        if text:
            table.setName(text, identifier, 3, 1, 0x409)
    bold = style == "Bold"
    font["OS/2"].usWeightClass = WEIGHTS[style]
    font["OS/2"].fsSelection = 0x20 if bold else 0x40
    font["head"].macStyle = int(bold)
    font["head"].modified = font["head"].created  # the same bytes every time
    font.recalcTimestamp = False


def mathematics():
    import ziamath

    source = Path(ziamath.__file__).parent / "fonts" / "STIXTwoMath-Regular.ttf"
    font = TTFont(source, recalcTimestamp=False)
    options = Options()
    options.layout_features = MATH_FEATURES
    options.hinting = False
    options.notdef_outline = True
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=within(MATH_RANGES))
    subsetter.subset(font)
    font.flavor = "woff2"
    return font


def main() -> None:
    mathematics().save(FOLDER / "STIXTwoMath.woff2")
    for style, weight in WEIGHTS.items():
        font = face(weight)
        rename(font, style)
        font.save(FOLDER / f"NotoSansTC-{style}.otf")
        print(f"{style}: {len(font.getBestCmap())} characters")


if __name__ == "__main__":
    main()
