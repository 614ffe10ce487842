"""Figures as files: a compact drawing looks the same, and layers make up the whole pictures."""

from __future__ import annotations

import base64
import io
import re
from urllib.parse import unquote

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.path import Path
from PIL import Image

from hw3lib.plotting.encoding import encode, webp
from hw3lib.plotting.svg import compact, relative
from hw3lib.report.images import pictures, uri


def raster(pixels: np.ndarray) -> dict:
    data = base64.b64encode(webp(Image.fromarray(pixels))).decode()
    return {"mime": "image/webp", "data": data, "width": 300.0, "height": 150.0}


def decoded(image: dict) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(image["data"])))


@pytest.fixture
def variants() -> dict[str, dict]:
    """A noisy panel that all share, with a word of each language in a corner."""
    panel = np.random.default_rng(0).integers(0, 200, (120, 240, 3), dtype=np.uint8)
    drawn = {code: panel.copy() for code in ("zh", "en", "both")}
    drawn["zh"][:9, :20], drawn["en"][:9, :30], drawn["both"][:18, :30] = 0, 90, 180
    return {code: raster(pixels) for code, pixels in drawn.items()}


def test_layers_over_their_base_are_the_whole_pictures_and_smaller(variants):
    made = pictures(variants)
    assert [codes for codes, _ in made.variants] == [("zh",), ("en",), ("both",)]
    for (code,), layer in made.variants:
        whole = decoded(made.base).convert("RGBA")
        whole.alpha_composite(decoded(layer).convert("RGBA"))
        wanted = np.asarray(decoded(variants[code]).convert("RGB"))
        assert (np.asarray(whole.convert("RGB")) == wanted).all()
    bytes_of = [len(i["data"]) for i in (made.base, *(image for _, image in made.variants))]
    assert sum(bytes_of) < 0.5 * sum(len(v["data"]) for v in variants.values())


def test_pictures_that_share_little_or_differ_in_size_stay_whole(variants):
    rng = np.random.default_rng(1)
    other = raster(rng.integers(0, 255, (120, 240, 3), dtype=np.uint8))
    wide = raster(np.zeros((120, 250, 3), dtype=np.uint8))
    broken = {**variants["en"], "data": "bm9uZQ=="}
    for odd in (other, wide, broken):
        made = pictures({**variants, "en": odd})
        assert made.base is None and [i for _, i in made.variants][1] is odd
    same = pictures(dict.fromkeys(("zh", "en", "both"), variants["zh"]))
    assert same.variants == [(("zh", "en", "both"), variants["zh"])] and same.base is None


def chart():
    fig, ax = plt.subplots(figsize=(4, 2))
    ax.fill_between([0, 1, 2], [0.1, 0.4, 0.2], [0.5, 0.9, 0.4], alpha=0.3)
    ax.plot([0, 1, 2], [0.123456, 0.654321, 0.3])
    ax.set_title('it\'s 50 % < 1 & # "x"')
    return fig


def test_a_chart_is_vector_and_its_address_holds_it_all():
    image = encode(chart())
    assert image["mime"] == "image/svg+xml" and (image["width"], image["height"]) == (288, 144)
    address = uri(image)
    assert not set('<>"#\n&') & set(address)
    kept = unquote(address.partition(",")[2])
    assert kept.replace("'", '"') == base64.b64decode(image["data"]).decode().replace("'", '"')
    assert uri({**image, "data": "//79"}) == "data:,"


def test_a_drawing_made_compact_is_the_same_drawing():
    """Of matplotlib's own SVG, points and names as an independent parser of paths reads them."""
    fig, raw = chart(), io.StringIO()
    fig.savefig(raw, format="svg")
    plt.close(fig)
    small = compact(raw.getvalue())
    assert len(small) < 0.7 * len(raw.getvalue())
    before, after = outlines(raw.getvalue()), outlines(small)
    assert len(before) == len(after) > 20
    for (one, scale), (two, scaled) in zip(before, after, strict=True):
        off = np.abs(one.vertices * scale - two.vertices * scaled).max()
        assert (one.codes == two.codes).all() and off <= (0.126 if scale < 1 else 0.006), off
    names = re.findall(r' id="([^"]*)"', small)
    assert len(set(names)) == len(names) and set(names) == set(re.findall(r"#(n\w+)", small))


def outlines(svg: str) -> list[tuple]:
    """(path, scale) of each path in an SVG, as fontTools reads it."""
    found = re.findall(r' d="([^"]*)"(?: transform="scale\(([\d.]+)\)")?', svg)
    return [(_path(d), float(scale or 1)) for d, scale in found]


def _path(d: str) -> Path:
    from fontTools.pens.recordingPen import RecordingPen
    from fontTools.svgLib.path import parse_path

    pen = RecordingPen()
    parse_path(d, pen)
    codes = {"moveTo": [1], "lineTo": [2], "qCurveTo": [3, 3], "curveTo": [4, 4, 4]}
    drawn = [(c, points) for c, points in pen.value if c in codes]
    return Path([p for _, ps in drawn for p in ps], [k for c, _ in drawn for k in codes[c]])


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("M 1.23456 -0.004 \nL 7 8.999999 z ", "m1.23 0l5.77 9z"),
        ("M 10 10 L 20 10 z M 1 1 Q 2 2 3 1", "m10 10l10 0zm-9-9q1 1 2 0"),
        ("M 0 0 A 1 1 0 0 0 2 2", "M 0 0 A 1 1 0 0 0 2 2"),
    ],
)
def test_relative_paths(path, wanted):
    assert relative(path, 0.01) == wanted


def test_pictures_and_fine_meshes_are_rasters_and_a_matrix_is_none():
    for draw, size, wanted in (
        ("imshow", 5, "webp"),
        ("pcolormesh", 48, "webp"),
        ("pcolormesh", 7, "svg"),
    ):
        fig, ax = plt.subplots(figsize=(1, 1))
        fig.colorbar(getattr(ax, draw)(np.eye(size)))
        image = encode(fig)
        assert image["mime"].startswith(f"image/{wanted}")
        assert wanted == "svg" or decoded(image).size == (200, 200)


def test_a_cloud_of_points_is_a_raster():
    fig, ax = plt.subplots(figsize=(1, 1))
    ax.scatter(*np.random.default_rng(0).normal(size=(2, 20_000)))
    assert encode(fig)["mime"] == "image/webp"
