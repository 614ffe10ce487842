"""Publishing: no picture of one person reaches a figure unless somebody vouched for it."""

from __future__ import annotations

import base64
import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pypdf
import pytest
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from nbformat import v4
from PIL import Image
from scipy.ndimage import gaussian_filter

from hw3lib.data.faces import Faces, exact_groups
from hw3lib.files import ROOT
from hw3lib.plotting import images
from hw3lib.plotting import publishing as vouched
from hw3lib.plotting.style import house_style
from hw3lib.report import show
from hw3lib.report.build import build_report

from .fakes import pair
from .likeness import ALIKE, grey, likeness, parts

PHOTOGRAPHS = ROOT.parent / "shared" / "data" / "fer2013.parquet"
CODE = """\
from hw3lib.report.show import figure, notebook, result
from hw3lib.plotting import images
from hw3lib.plotting.publishing import exhibit
from hw3lib.training.study import open_study
study = open_study(PROFILE, DATA)
notebook(study, LANG)
faces = study.faces
few = exhibit(images.first_of_each_class(faces, 3))
figure(images.mean_faces(faces, samples=few), of=few, zh="樣本。", en="Samples.")
figure(images.image_grid([faces.images[:8]]), zh="臉。", en="Faces.")
figure(images.mean_faces(faces), zh="平均臉。", en="Mean faces.")
result("data.mean", faces.images.mean(), split="all", rule="none", n=len(faces))"""


@pytest.fixture(autouse=True)
def _close():
    with house_style():
        yield
    plt.close("all")


@pytest.fixture
def faces() -> Faces:
    """Pictures that the library takes for photographs, each its own person: like no other."""
    blots = gaussian_filter(np.random.default_rng(5).normal(size=(210, 48, 48)), (0, 3, 3))
    low, high = (f(blots, axis=(1, 2), keepdims=True) for f in (np.min, np.max))
    drawn = (230 * (blots - low) / (high - low)).astype(np.uint8)  # no white, as on the paper
    ids = np.array([f"{i:05d}" for i in range(210)])
    split = np.array(["train"] * 150 + ["test"] * 60)
    return Faces(drawn, np.arange(210) % 7, ids, split, exact_groups(drawn), layout="npz")


@pytest.fixture
def published(monkeypatch):
    monkeypatch.setenv(vouched.PUBLISH, "1")
    monkeypatch.setattr(show, "_real", True)


@pytest.fixture
def shown(monkeypatch):
    """(caption in English, PNG) of every figure that is shown."""
    found: list[tuple[str, bytes]] = []

    def _show(payload, plain, **_):
        if payload["kind"] == "figure":
            found.append((payload["caption"]["en"], plain["image/png"]))

    monkeypatch.setattr(show, "_show", _show)
    return found


def closest(png: bytes, faces: Faces) -> float:
    return likeness(list(parts(grey(Image.open(io.BytesIO(png))))), faces.images)


def grid(faces: Faces):
    return images.image_grid(images.rows_of(faces.images[:8], 4))


def test_a_figure_that_nobody_vouched_for_shows_silhouettes(faces, published, shown):
    show.figure(grid(faces), zh="臉。", en="Faces.")
    show.figure(grid(faces), of=faces, zh="臉。", en="Faces.")  # vouching needs stand-ins
    for caption, png in shown:
        assert closest(png, faces) < ALIKE and caption == "Faces." + vouched.WITHHELD.en


def test_without_publishing_and_with_drawn_faces_nothing_changes(faces, shown, monkeypatch):
    show.figure(grid(faces), zh="臉。", en="Faces.")
    monkeypatch.setenv(vouched.PUBLISH, "1")
    monkeypatch.setattr(show, "_real", False)
    show.figure(grid(faces), zh="臉。", en="Faces.")
    assert shown[0] == shown[1] and shown[0][0] == "Faces."
    assert closest(shown[0][1], faces) > 0.97  # so the comparison sees the parts of a figure


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax, image: ax.imshow(image.astype(float) / 255, cmap="RdBu"),
        lambda ax, image: ax.imshow(np.dstack([image] * 3)),
        lambda ax, image: ax.imshow(image, cmap="gray", alpha=image / 255),
        lambda ax, image: ax.inset_axes((0, 0, 1, 1)).imshow(image[:, ::-1]),
        lambda ax, image: ax.pcolormesh(image[::-1], cmap="gray"),
        lambda ax, image: ax.figure.figimage(image),
        lambda ax, image: ax.add_artist(
            AnnotationBbox(OffsetImage(image, zoom=3, cmap="gray"), (0.5, 0.5))
        ),
    ],
    ids=["float", "colour", "faint", "inset", "mesh", "figimage", "box"],
)
def test_no_way_of_drawing_leads_past_it(draw, faces):
    fig, ax = plt.subplots()
    ax.set_axis_off()
    draw(ax, faces.images[0])
    assert vouched.cover(fig) == 1
    fig.canvas.draw()
    drawn = Image.fromarray(np.asarray(fig.canvas.buffer_rgba()))
    assert likeness(list(parts(grey(drawn))), faces.images) < ALIKE


def test_means_of_many_stay_and_means_of_few_do_not(faces, published, shown):
    few = faces.subset(np.arange(14))  # two of each class
    for some in (faces, few):
        show.figure(images.mean_faces(some), zh="平均。", en="Means.")
    assert [caption for caption, _ in shown] == ["Means.", "Means." + vouched.WITHHELD.en]
    assert closest(shown[1][1], faces) < ALIKE


def test_a_mean_face_keeps_away_from_the_face_that_is_most_like_it(faces, monkeypatch):
    """A mean may look like one of many faces; in a published report it is drawn less alike."""
    mean = faces.images[0].astype(float)
    assert (vouched.mean_face(mean, 30) == mean).all()
    monkeypatch.setenv(vouched.PUBLISH, "1")
    assert vouched.mean_face(mean, 29) is mean
    spread = vouched.mean_face(mean, 30)
    assert (np.argsort(spread, axis=None) == np.argsort(mean, axis=None)).all()
    assert likeness([spread], faces.images) < likeness([mean], faces.images) - 0.005
    assert (vouched.mean_face(np.zeros((48, 48)), 30) == 0).all()


def test_stand_ins_have_the_labels_and_nobodys_face(faces, published, shown):
    few = faces.subset(np.arange(20))
    other = vouched.exhibit(few)
    assert other.synthetic and (other.labels == few.labels).all()
    assert (other.images == vouched.exhibit(few).images).all()
    show.figure(grid(other), of=other, zh="臉。", en="Faces.")
    assert shown[0][0] == "Faces." + vouched.STAND_INS.en
    assert closest(shown[0][1], other) > 0.97 > ALIKE > closest(shown[0][1], faces)


@pytest.mark.slow  # captum and torch
def test_a_map_is_made_again_for_the_stand_in(faces, published):
    from hw3lib.interpretation.attribution import attribute_all
    from hw3lib.models import build
    from hw3lib.models.network import Network, logits
    from hw3lib.plotting import saliency as draw

    network, few = Network(build("slim_resnet", width=0.25).eval(), 0.5, 0.25), faces.subset([0, 1])
    options = {"SmoothGrad": {"samples": 1}, "Integrated Gradients": {"steps": 1}}
    ax, drawn = draw.explain(network, few, options=options)
    target = logits(network, few.images).argmax(1)
    maps = attribute_all(network, network.prepare(drawn.images), target, options=options)
    again = draw.attribution_grid(drawn, maps, ["", ""])
    for one, other in zip(ax.images, again.images, strict=True):
        assert (one.get_array() == other.get_array()).all()
    assert drawn.synthetic and (ax.images[0].get_array() == drawn.images[0]).all()
    assert not any("%" in text.get_text() for text in ax.get_yticklabels())  # no photograph's


@pytest.mark.slow
def test_a_published_report_shows_nobody_and_the_same_numbers(faces, tmp_path, monkeypatch):
    """Both files, every raster in them decoded, whole and in parts, against every picture."""
    monkeypatch.delenv("HW3_DATA", raising=False)
    for folder in ("notebooks", "report"):
        (tmp_path / folder).mkdir()
    np.savez(tmp_path / "real.npz", images=faces.images, labels=faces.labels)
    cells = pair("# 臉\n\n問。", "# Faces\n\nAsked.")
    cells += [v4.new_code_cell('PROFILE = DATA = LANG = ""', metadata={"tags": ["parameters"]})]
    nb = v4.new_notebook(cells=[*cells, v4.new_code_cell(CODE)])
    (tmp_path / "notebooks" / "01_faces.ipynb").write_text(v4.writes(nb), encoding="utf-8")
    stated = {"author.toml": 'name = "王"', "questions.toml": "", "bibliography.bib": ""}
    for name, text in stated.items():
        (tmp_path / "report" / name).write_text(text, encoding="utf-8")
    (tmp_path / "tiny.toml").write_text("[settings]\n", encoding="utf-8")
    built = {}
    for publish in (False, True):
        files = build_report(
            str(tmp_path / "tiny.toml"), str(tmp_path / "real.npz"), lang="zh", publish=publish,
            root=tmp_path, progress=lambda line: None,
        )  # fmt: skip
        built[publish] = {f.suffix: f for f in files}
    assert built[True][".html"].parent == tmp_path / "report" / "published"
    assert built[True][".json"].read_bytes() == built[False][".json"].read_bytes()
    page = {p: f[".html"].read_text(encoding="utf-8") for p, f in built.items()}
    assert "is withheld" not in page[False]
    for told in ("every single one is withheld", vouched.WITHHELD.zh, vouched.STAND_INS.zh):
        assert told in page[True].replace("\n", " ")
    for suffix in (".html", ".pdf"):
        assert likest(built[False][suffix], faces) > 0.97  # the comparison would see them
        assert likest(built[True][suffix], faces) < ALIKE


def likest(file, faces: Faces) -> float:
    """The closest likeness of any raster in an HTML or PDF file."""
    if file.suffix == ".html":
        found = re.findall(r"data:image/(?:webp|png);base64,([^\"]+)", file.read_text("utf-8"))
        rasters = [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]
    else:
        rasters = [i.image for page in pypdf.PdfReader(file).pages for i in page.images]
    assert rasters
    return likeness([p for r in rasters for p in parts(grey(r))], faces.images)


@pytest.mark.slow
@pytest.mark.skipif(not PHOTOGRAPHS.is_file(), reason="needs the photographs")
@pytest.mark.parametrize("suffix", [".html", ".pdf"])
def test_the_published_copy_shows_none_of_the_photographs(suffix):
    from hw3lib.data import load

    file = ROOT / "report" / "published" / f"hw3_report{suffix}"
    assert likest(file, load(str(PHOTOGRAPHS))) < ALIKE
