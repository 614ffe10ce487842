"""Publishing: no picture of one person reaches a figure unless somebody vouched for it."""

from __future__ import annotations

import base64
import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pypdf
import pytest
from nbformat import v4
from PIL import Image
from scipy.ndimage import gaussian_filter
from test_report import PARAMETERS, pair

from hw3lib import UserError, portraits
from hw3lib.data.copies import exact_groups
from hw3lib.data.faces import Faces
from hw3lib.data.synthetic import synthetic_faces
from hw3lib.files import ROOT
from hw3lib.plotting import images
from hw3lib.report import show as display
from hw3lib.report.build import build_report
from hw3lib.report.likeness import ALIKE, grey, likeness, parts, refuse_portraits
from hw3lib.text import Text

PHOTOGRAPHS = ROOT.parent / "shared" / "data" / "fer2013.parquet"
CODE = """\
import numpy as np
from hw3lib.report.show import figure, notebook, result
from hw3lib.plotting import images
from hw3lib.portraits import exhibit
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
    yield
    plt.close("all")


@pytest.fixture
def faces() -> Faces:
    """Pictures that the library takes for photographs, each its own person: like no other."""
    blots = gaussian_filter(np.random.default_rng(5).normal(size=(210, 48, 48)), (0, 3, 3))
    low, high = (f(blots, axis=(1, 2), keepdims=True) for f in (np.min, np.max))
    images = (230 * (blots - low) / (high - low)).astype(np.uint8)  # no white, as on the paper
    ids, split = (
        np.array([f"{i:05d}" for i in range(210)]),
        np.array(["train"] * 150 + ["test"] * 60),
    )
    return Faces(images, np.arange(210) % 7, ids, split, exact_groups(images), layout="npz")


@pytest.fixture
def publishing(monkeypatch):
    monkeypatch.setenv(portraits.PUBLISH, "1")
    monkeypatch.setattr(display, "_real", True)


@pytest.fixture
def shown(monkeypatch):
    """The payloads of what is shown, and with each what JupyterLab sees."""
    payloads: list[dict] = []
    monkeypatch.setattr(
        display, "_show", lambda payload, plain, **_: payloads.append({**payload, "shown": plain})
    )
    return payloads


def closest(payload: dict, faces: Faces) -> float:
    raster = Image.open(io.BytesIO(payload["shown"]["image/png"]))
    return likeness(list(parts(grey(raster))), faces.images)


def grid(faces: Faces):
    return images.image_grid(images.rows_of(faces.images[:8], 4))


def test_a_figure_that_nobody_vouched_for_shows_silhouettes(faces, publishing, shown):
    display.figure(grid(faces), zh="臉。", en="Faces.")
    assert closest(shown[0], faces) < ALIKE
    assert shown[0]["caption"] == {
        "zh": "臉。" + portraits.WITHHELD.zh, "en": "Faces." + portraits.WITHHELD.en
    }  # fmt: skip


def test_without_publishing_and_with_drawn_faces_nothing_changes(faces, shown, monkeypatch):
    display.figure(grid(faces), zh="臉。", en="Faces.")
    monkeypatch.setenv(portraits.PUBLISH, "1")
    monkeypatch.setattr(display, "_real", False)
    display.figure(grid(faces), zh="臉。", en="Faces.")
    mine, theirs = shown[0], shown[2]
    assert mine == theirs and mine["caption"] == {"zh": "臉。", "en": "Faces."}
    assert closest(mine, faces) > 0.97  # so the comparison sees the parts of a figure


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax, image: ax.imshow(image.astype(float) / 255, cmap="RdBu"),
        lambda ax, image: ax.imshow(np.dstack([image] * 3)),
        lambda ax, image: ax.imshow(image, cmap="gray", alpha=image / 255),
        lambda ax, image: ax.inset_axes((0, 0, 1, 1)).imshow(image[:, ::-1]),
        lambda ax, image: ax.pcolormesh(image[::-1], cmap="gray"),
        lambda ax, image: ax.figure.figimage(image),
        lambda ax, image: _boxed(ax, image),
    ],
    ids=["float", "colour", "faint", "inset", "mesh", "figimage", "box"],
)
def test_no_way_of_drawing_leads_past_it(draw, faces):
    fig, ax = plt.subplots()
    draw(ax, faces.images[0])
    assert portraits.cover(fig) == 1
    fig.canvas.draw()
    assert portraits.cover(fig) == 1  # a silhouette is as good as any other array
    values = [
        np.asarray(a.get_array())
        for a in fig.findobj(lambda a: hasattr(a, "get_array"))
        if a.get_array() is not None
    ]
    known = faces.images[0].astype(float).ravel()
    for value in values:
        if value.size >= 48 * 48:
            grey_values = value[..., 0] if value.ndim == 3 else value
            flat = grey_values.astype(float).ravel()
            assert flat.std() == 0 or abs(np.corrcoef(flat, known)[0, 1]) < ALIKE


def _boxed(ax, image):
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    ax.add_artist(AnnotationBbox(OffsetImage(image, cmap="gray"), (0.5, 0.5)))


def test_means_of_many_stay_and_means_of_few_do_not(faces, publishing, shown):
    display.figure(images.mean_faces(faces), zh="平均。", en="Means.")
    assert shown[0]["caption"]["en"] == "Means."
    few = faces.subset(pictures_of(faces, 2))
    display.figure(images.mean_faces(few), zh="平均。", en="Means.")
    assert shown[2]["caption"]["en"] == "Means." + portraits.WITHHELD.en
    assert closest(shown[2], faces) < ALIKE


def test_a_mean_face_keeps_away_from_the_face_that_is_most_like_it(faces, monkeypatch):
    """A mean may look like one of many faces; in a published report it is drawn less alike."""
    mean = faces.images[0].astype(float)
    assert (portraits.mean_face(mean, 30) == mean).all()
    monkeypatch.setenv(portraits.PUBLISH, "1")
    assert portraits.mean_face(mean, 29) is mean
    spread = portraits.mean_face(mean, 30)
    assert (np.argsort(spread, axis=None) == np.argsort(mean, axis=None)).all()
    assert likeness([spread], faces.images) < likeness([mean], faces.images) - 0.005
    assert (portraits.mean_face(np.zeros((48, 48)), 30) == 0).all()


def pictures_of(faces: Faces, count: int) -> np.ndarray:
    return np.concatenate([np.flatnonzero(faces.labels == c)[:count] for c in range(7)])


def test_stand_ins_have_the_labels_and_nobodys_face(faces, publishing, shown):
    few = faces.subset(np.arange(20))
    other = portraits.exhibit(few)
    assert other.synthetic and (other.labels == few.labels).all()
    assert (other.images == portraits.exhibit(few).images).all()
    display.figure(grid(other), of=other, zh="臉。", en="Faces.")
    assert shown[0]["caption"]["en"] == "Faces." + portraits.STAND_INS.en
    assert closest(shown[0], other) > 0.97 > ALIKE > closest(shown[0], faces)
    first, second = portraits.exhibit_pairs(few, few)  # the second shifted, as near copies are
    assert (first.images == other.images).all() and second.synthetic
    assert (second.images[:, 1:, 2:] == first.images[:, :-1, :-2]).all()
    display.figure(grid(faces), of=faces, zh="臉。", en="Faces.")  # vouching needs stand-ins
    assert closest(shown[2], faces) < ALIKE


def test_a_map_is_made_anew_for_the_stand_in(faces, publishing):
    from hw3lib.models import build
    from hw3lib.models.network import Network
    from hw3lib.plotting import saliency as draw

    network = Network(build("slim_resnet", width=0.25).eval(), 0.5, 0.25)
    few, labels = faces.subset(np.arange(2)), [Text("甲 9%", "a 9%")] * 2
    maps = {"gradient": np.zeros((2, 48, 48), dtype=np.float32)}
    shown, own, said = draw.exhibited(network, few, np.array([0, 3]), maps, labels, {})
    assert shown.synthetic and np.abs(own["gradient"]).max() > 0
    assert [s.en for s in said] == ["Angry", "Happy"]


def test_the_last_door_names_the_figure(faces, shown):
    display.figure(grid(faces), zh="臉。", en="Faces.")
    drawn = base64.b64encode(shown[0]["shown"]["image/png"]).decode()
    output = v4.new_output("display_data", {"image/png": drawn})
    nb = v4.new_notebook(cells=[v4.new_code_cell("x", outputs=[output])])
    with pytest.raises(UserError, match=r"^05_x, cell 0: .* correlates (0.9|1.0).*exhibit"):
        refuse_portraits({"05_x": nb}, faces)
    refuse_portraits({"05_x": nb}, synthetic_faces(50, seed=99))


def test_a_published_report_shows_nobody_and_the_same_numbers(faces, tmp_path, monkeypatch):
    """Both files, every raster in them decoded, whole and in parts, against every picture."""
    monkeypatch.delenv("HW3_DATA", raising=False)
    root = tmp_path / "root"
    for folder in ("notebooks", "report"):
        (root / folder).mkdir(parents=True)
    np.savez(tmp_path / "real.npz", images=faces.images, labels=faces.labels)
    said = pair("# 臉\n\n問。", "# Faces\n\nAsked.")
    cells = [*said, v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})]
    nb = v4.new_notebook(cells=[*cells, v4.new_code_cell(CODE)])
    (root / "notebooks" / "01_faces.ipynb").write_text(v4.writes(nb), encoding="utf-8")
    (root / "report" / "author.toml").write_text('name = "王"', encoding="utf-8")
    (root / "report" / "questions.toml").write_text("", encoding="utf-8")
    (root / "report" / "bibliography.bib").write_text("", encoding="utf-8")
    (root / "tiny.toml").write_text("[settings]\n", encoding="utf-8")
    built = {}
    for publish in (False, True):
        files = build_report(
            str(root / "tiny.toml"), str(tmp_path / "real.npz"), lang="zh", publish=publish,
            root=root, progress=lambda line: None,
        )  # fmt: skip
        built[publish] = {f.suffix: f for f in files}
    assert built[True][".html"].parent == root / "report" / "published"
    assert built[True][".json"].read_bytes() == built[False][".json"].read_bytes()
    page = {p: f[".html"].read_text(encoding="utf-8") for p, f in built.items()}
    assert "is withheld" not in page[False]
    for told in ("every single one is withheld", portraits.WITHHELD.zh, portraits.STAND_INS.zh):
        assert told in page[True].replace("\n", " ")
    private, public = ({k: likest(f, faces) for k, f in built[p].items()} for p in (False, True))
    assert private[".html"] > 0.97 and private[".pdf"] > 0.97  # the comparison would see them
    assert public[".html"] < ALIKE and public[".pdf"] < ALIKE


def likest(file, faces: Faces) -> float:
    """The closest likeness of any raster in an HTML or PDF file."""
    if file.suffix == ".html":
        found = re.findall(r"data:image/(?:webp|png);base64,([^\"]+)", file.read_text("utf-8"))
        rasters = [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]
    elif file.suffix == ".pdf":
        rasters = [i.image for page in pypdf.PdfReader(file).pages for i in page.images]
    else:
        return 0.0
    assert rasters
    return likeness([p for r in rasters for p in parts(grey(r))], faces.images)


@pytest.mark.slow
@pytest.mark.skipif(not PHOTOGRAPHS.is_file(), reason="needs the photographs")
@pytest.mark.parametrize("suffix", [".html", ".pdf"])
def test_the_published_copy_shows_none_of_the_photographs(suffix):
    from hw3lib.data import load

    file = ROOT / "report" / "published" / f"hw3_report{suffix}"
    assert likest(file, load(str(PHOTOGRAPHS))) < ALIKE


def test_a_few_pixels_drawn_large_are_nobodys_picture():
    step = np.zeros((1, 48, 48), dtype=np.uint8)
    step[:, :, 20:] = 200
    step[0] += np.random.default_rng(0).integers(0, 20, (48, 48)).astype(np.uint8)
    patch = np.kron(step[0, ::10, ::10], np.ones((26, 26), dtype=np.uint8))  # 5 x 5 pixels
    assert likeness([patch], step) == 0
    fine = np.kron(step[0, ::3, ::3], np.ones((8, 8), dtype=np.uint8))  # 16 x 16
    assert likeness([fine], step) > ALIKE


def test_parts_of_a_figure_are_found():
    sheet = np.full((200, 300), 255, dtype=np.uint8)
    sheet[20:80, 20:80], sheet[20:80, 90:150], sheet[100:160, 20:80] = 10, 60, 110
    found = {(p.shape, int(p.mean())) for p in parts(sheet)}
    assert {((60, 60), 10), ((60, 60), 60), ((60, 60), 110)} <= found
    assert list(parts(np.full((50, 50), 255, dtype=np.uint8))) == []
    assert likeness([np.full((60, 60), 9, dtype=np.uint8)], sheet[None, :48, :48]) == 0


def test_a_few_pixels_drawn_large_are_like_nobody(faces):
    coarse, fine = (faces.images[0][::step, ::step] for step in (4, 2))  # 12 and 24 a side
    assert likeness([coarse.repeat(14, 0).repeat(14, 1)], faces.images) == 0
    assert likeness([fine.repeat(7, 0).repeat(7, 1)], faces.images) > ALIKE
