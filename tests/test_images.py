"""Figures as files: a compact drawing looks the same, and layers make up the whole pictures."""

from __future__ import annotations

import base64
import io
import re
from urllib.parse import unquote

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from hw3lib.plotting.encoding import compact, encode, webp
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


def test_a_drawing_made_compact_differs_by_less_than_a_hundredth_of_a_point():
    svg = '<svg>\n <!-- x -->\n <path d="M 1.23456 -0.000123456 \nL 7 8.999999"/>\n</svg>\n'
    assert compact(svg) == '<svg><path d="M 1.23 -0.0001235 L 7 9"/></svg> '
    assert compact('<g id="m1.2345abc" transform="scale(0.012345)"/>').count("1.2345abc") == 1
    fig, raw = chart(), io.StringIO()
    fig.savefig(raw, format="svg")
    plt.close(fig)
    before, after = map(coordinates, (raw.getvalue(), compact(raw.getvalue())))
    assert len(before) == len(after) > 100 and np.abs(before - after).max() <= 0.005 + 1e-9
    assert len(compact(raw.getvalue())) < 0.95 * len(raw.getvalue())


def coordinates(svg: str) -> np.ndarray:
    paths = re.findall(r' d="([^"]*)"', svg)
    return np.array([float(v) for path in paths for v in re.findall(r"[-\d.e]+", path)])


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
