"""The explorer: a still figure where nobody clicks, controls that act where somebody does."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from hw3lib import UserError, explorer, models, portraits
from hw3lib.data.faces import Faces
from hw3lib.data.synthetic import synthetic_faces
from hw3lib.explorer import Look
from hw3lib.models.network import Network
from hw3lib.plotting.style import house_style
from hw3lib.report import show
from hw3lib.text import Text, language

LOOKS = [Look("one", "gradient"), Look("two", "grad_cam")]


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(2)
    model = models.build("slim_resnet", width=0.25)
    one = Network(model.eval(), 0.5, 0.25)
    other = explorer.like(one, models.build("slim_resnet", width=0.25))
    return {"one": (Text("甲", "one"), one), "two": (Text("乙", "two"), other)}


@pytest.fixture
def opened(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "07_saliency.ipynb")


def png(size=(60, 80)) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", size, 90).save(buffer, "PNG")
    return buffer.getvalue()


def panel(networks, faces, predicted):
    return explorer._Panel(networks, faces, predicted, None, LOOKS)


def displayed(panel) -> dict:
    (output,) = panel.output.outputs
    return output.get("data", {}) or output["text"]


def test_where_nobody_clicks_it_is_a_still_figure(networks, monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    faces = synthetic_faces(4, seed=0)
    assert explorer.panel(networks, faces, faces.labels, LOOKS) is None
    with language("en"), house_style():
        ax = explorer.compare(networks, faces.subset(np.array([0])), LOOKS)
    assert len(ax.images) == 3
    titles = [text.get_text() for text in ax.texts[1:]]
    assert titles[0].startswith("one\ngradient\n") and titles[1].startswith("two\nGrad-CAM\n")


def test_every_control_draws_anew(networks, opened):
    faces = synthetic_faces(14, seed=0)
    seen = panel(networks, faces, faces.labels)
    drawn = [displayed(seen)]
    seen.picture.value = 3
    assert (seen.face().images == faces.images[3:4]).all()
    drawn.append(displayed(seen))
    seen.target.value = 5
    drawn.append(displayed(seen))
    seen.sides[0][1].value = "integrated_gradients"
    drawn.append(displayed(seen))
    seen.sides[1][0].value = "one"
    drawn.append(displayed(seen))
    seen.group.value = 2
    assert (seen.face().labels == 2).all() and seen.picture.value == 0
    drawn.append(displayed(seen))
    assert len({d["image/png"] for d in drawn}) == len(drawn)
    seen.predicted = np.zeros_like(faces.labels)
    seen.group.value = 6
    assert "no picture" in displayed(seen)


def test_ones_own_file_is_read_like_any_other_and_a_bad_one_is_one_line(networks, opened):
    faces = synthetic_faces(3, seed=0)
    seen = panel(networks, faces, faces.labels)
    seen._upload({"new": ({"name": "me.png", "content": memoryview(png())},)})
    assert (seen.face().images == 90).all() and "image/png" in displayed(seen)
    seen._upload({"new": ({"name": "me.txt", "content": memoryview(b"text")},)})
    line = displayed(seen)
    assert line.startswith("me.txt: not an image") and line.count("\n") == 1
    seen.picture.value = 1  # back to the data
    assert (seen.face().images == faces.images[1:2]).all()
    with pytest.raises(UserError):
        explorer.own_picture(b"", "empty.jpg")


def test_while_publishing_no_face_of_the_data_is_shown(networks, opened, monkeypatch):
    drawn = synthetic_faces(3, seed=0)
    real = Faces(drawn.images, drawn.labels, drawn.ids, drawn.split, drawn.group, layout="npz")
    assert (panel(networks, real, real.labels).face().images == real.images[:1]).all()
    monkeypatch.setenv(portraits.PUBLISH, "1")
    assert panel(networks, real, real.labels).face().synthetic


def test_beside_the_panel_stands_its_still_figure(networks, opened, monkeypatch):
    """A notebook saved from JupyterLab exports with the figure."""
    shown, faces = [], synthetic_faces(2, seed=0)
    monkeypatch.setattr(show, "_show", lambda payload, plain, **_: shown.append(plain))
    box = explorer.panel(networks, faces, np.zeros(2, int), LOOKS)
    still = explorer.compare(networks, faces.subset(np.array([0])), LOOKS)
    show.figure(still, widget=box, zh="圖", en="figure")
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= set(shown[0])
