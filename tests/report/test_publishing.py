"""Publishing: no picture of one person reaches a figure unless somebody vouched for it.

Whatever is published must be the same when the photographs are of other people: `faces` and
`others` are the same images in another order within each class, so that every number and every
mean of a class is the same in both, and no single image is.
"""

from __future__ import annotations

import base64
import json
import re

import matplotlib.pyplot as plt
import numpy as np
import pypdf
import pytest
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from nbformat import v4
from scipy.ndimage import gaussian_filter

from hw3lib.data.faces import Faces, exact_groups
from hw3lib.files import ROOT
from hw3lib.plotting import images
from hw3lib.plotting import publishing as vouched
from hw3lib.plotting.saliency import class_maps
from hw3lib.plotting.style import house_style
from hw3lib.report import show
from hw3lib.report.build import build_report
from hw3lib.report.document import SYNTHETIC_COVER, WITHHELD_COVER

from .fakes import pair

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


def photographs(order: int) -> Faces:
    """Pictures that the library takes for photographs, each its own person: like no other."""
    blots = gaussian_filter(np.random.default_rng(5).normal(size=(210, 48, 48)), (0, 3, 3))
    low, high = (f(blots, axis=(1, 2), keepdims=True) for f in (np.min, np.max))
    drawn = (230 * (blots - low) / (high - low)).astype(np.uint8)
    drawn = drawn.reshape(30, 7, 48, 48)[::order].reshape(210, 48, 48)  # labels are 0 to 6 by turns
    ids = np.array([f"{i:05d}" for i in range(210)])
    split = np.array(["train"] * 150 + ["test"] * 60)
    return Faces(drawn, np.arange(210) % 7, ids, split, exact_groups(drawn), layout="npz")


@pytest.fixture
def faces() -> Faces:
    return photographs(1)


@pytest.fixture
def others() -> Faces:
    return photographs(-1)


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


def grid(faces: Faces):
    return images.image_grid(images.rows_of(faces.images[:8], 4))


def test_a_figure_that_nobody_vouched_for_shows_silhouettes(faces, others, published, shown):
    for some in (faces, others):
        show.figure(grid(some), zh="臉。", en="Faces.")
        show.figure(grid(some), of=some, zh="臉。", en="Faces.")  # vouching needs stand-ins
    assert len({*shown}) == 1 and shown[0][0] == "Faces." + vouched.WITHHELD.en


def test_without_publishing_and_with_drawn_faces_nothing_changes(faces, others, shown, monkeypatch):
    show.figure(grid(faces), zh="臉。", en="Faces.")
    monkeypatch.setenv(vouched.PUBLISH, "1")
    monkeypatch.setattr(show, "_real", False)
    for some in (faces, others):
        show.figure(grid(some), zh="臉。", en="Faces.")
    assert shown[0] == shown[1] != shown[2] and shown[0][0] == "Faces."


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
def test_no_way_of_drawing_leads_past_it(draw, faces, others):
    drawn = []
    for some in (faces, others):
        fig, ax = plt.subplots()
        draw(ax, some.images[0])
        assert vouched.cover(fig) == 1
        fig.canvas.draw()
        drawn.append(bytes(fig.canvas.buffer_rgba()))
    assert drawn[0] == drawn[1]


def test_means_of_many_stay_and_means_of_few_do_not(faces, others, published, shown):
    for some in (faces, others, faces.subset(np.arange(14))):  # two of each class
        show.figure(images.mean_faces(some), zh="平均。", en="Means.")
    assert shown[0] == shown[1] and shown[0][0] == "Means."
    assert shown[2][0] == "Means." + vouched.WITHHELD.en


def test_class_means_of_maps_stay_where_a_report_has_as_many_as_profiles_ask_for(faces, published):
    """Notebook 07 takes 105 images, 15 a class."""
    for count, silhouettes in ((15, 0), (9, 7)):
        maps = {"gradient": np.random.default_rng(count).random((7, 48, 48))}
        figure = class_maps(faces, maps, np.full(7, count))
        assert vouched.cover(figure) == silhouettes


def test_a_mean_face_keeps_away_from_the_face_that_is_most_like_it(faces, monkeypatch):
    """A mean may look like one of many faces; in a published report it is drawn less alike."""
    mean = faces.images[0].astype(float)
    assert (vouched.mean_face(mean, 30) == mean).all()
    monkeypatch.setenv(vouched.PUBLISH, "1")
    assert vouched.mean_face(mean, 29) is mean
    spread = vouched.mean_face(mean, 30)
    assert (np.argsort(spread, axis=None) == np.argsort(mean, axis=None)).all()
    assert np.corrcoef(spread.ravel(), mean.ravel())[0, 1] < 0.995
    assert (vouched.mean_face(np.zeros((48, 48)), 30) == 0).all()


def test_stand_ins_have_the_labels_and_nobodys_face(faces, others, published, shown):
    for some in (faces, others):
        few = some.subset(np.arange(20))
        other = vouched.exhibit(few)
        assert other.synthetic and (other.labels == few.labels).all()
        show.figure(grid(other), of=other, zh="臉。", en="Faces.")
    assert shown[0] == shown[1] and shown[0][0] == "Faces." + vouched.STAND_INS.en


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
def test_a_published_report_shows_nobody_and_the_same_numbers(faces, others, tmp_path, monkeypatch):
    """Every raster in page and PDF is that of a report about other people."""
    monkeypatch.delenv("HW3_DATA", raising=False)
    for folder in ("notebooks", "report"):
        (tmp_path / folder).mkdir()
    cells = pair("# 臉\n\n問。", "# Faces\n\nAsked.")
    cells += [v4.new_code_cell('PROFILE = DATA = LANG = ""', metadata={"tags": ["parameters"]})]
    nb = v4.new_notebook(cells=[*cells, v4.new_code_cell(CODE)])
    (tmp_path / "notebooks" / "01_faces.ipynb").write_text(v4.writes(nb), encoding="utf-8")
    stated = {"author.toml": 'name = "王"', "questions.toml": "", "bibliography.bib": ""}
    for name, text in stated.items():
        (tmp_path / "report" / name).write_text(text, encoding="utf-8")
    (tmp_path / "tiny.toml").write_text("[settings]\n", encoding="utf-8")

    def built(some: Faces, publish: bool) -> tuple[str, list[bytes], list[dict]]:
        np.savez(tmp_path / "real.npz", images=some.images, labels=some.labels)
        files = build_report(
            str(tmp_path / "tiny.toml"), str(tmp_path / "real.npz"), lang="zh", publish=publish,
            root=tmp_path, progress=lambda line: None,
        )  # fmt: skip
        assert files[0].parent.name == ("published" if publish else "build")
        page, numbers, printed = files
        results = json.loads(numbers.read_text(encoding="utf-8"))["results"]
        return page.read_text(encoding="utf-8"), rasters(page) + rasters(printed), results

    page, drawn, results = built(faces, False)
    withheld, covered, same = built(faces, True)
    assert results == same and "is withheld" not in page
    for told in (WITHHELD_COVER.en, vouched.WITHHELD.zh, vouched.STAND_INS.zh):
        assert told in " ".join(withheld.split())
    assert covered == built(others, True)[1] and len(covered) == len(drawn)
    assert drawn != built(others, False)[1]  # the comparison would see them


def rasters(file) -> list[bytes]:
    if file.suffix == ".html":
        found = re.findall(r"data:image/(?:webp|png);base64,([^\"]+)", file.read_text("utf-8"))
        return [base64.b64decode(data) for data in found]
    return [i.data for page in pypdf.PdfReader(file).pages for i in page.images]


def test_the_published_copy_is_of_drawn_faces_or_says_that_photographs_are_withheld():
    page = (ROOT / "report" / "published" / "hw3_report.html").read_text("utf-8")
    said = " ".join(page.split())
    assert SYNTHETIC_COVER.en in said or WITHHELD_COVER.en in said
