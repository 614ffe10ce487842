"""The explorer: a still figure where nobody clicks, controls that act where somebody does."""

import io
from datetime import datetime
from functools import partial

import numpy as np
import pytest
from PIL import Image

from hw3lib import UserError
from hw3lib.data.synthetic import synthetic_faces
from hw3lib.interpretation import explorer
from hw3lib.interpretation.explorer import Panel
from hw3lib.plotting.saliency import compare
from hw3lib.report import show
from hw3lib.text import set_language
from interpretation.networks import slim

LOOKS = (("our network", "gradient"), ("mine", "Grad-CAM"))
NETWORKS = {"our network": slim(width=0.125), "mine": slim(width=0.125, seed=3)}
DRAW = partial(compare, NETWORKS)


@pytest.fixture
def opened(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "07_saliency.ipynb")


@pytest.fixture
def panel(opened) -> Panel:
    faces = synthetic_faces(14, seed=0)
    return Panel(DRAW, list(NETWORKS), faces, faces.labels, LOOKS)


def upload(panel: Panel, data: bytes, name: str = "me.png") -> None:
    panel.file.value = ({"name": name, "type": "", "size": len(data), "content": memoryview(data),
                         "last_modified": datetime.now()},)  # fmt: skip


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (60, 80), 90).save(buffer, "PNG")
    return buffer.getvalue()


def displayed(panel: Panel) -> dict:
    (output,) = panel.output.outputs
    return output.get("data", {}) or output["text"]


def test_where_nobody_clicks_it_is_a_still_figure(monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    faces = synthetic_faces(4, seed=0)
    assert explorer.panel(DRAW, list(NETWORKS), faces, faces.labels, LOOKS) is None
    set_language("en")
    ax = DRAW(faces.subset(np.array([0])), LOOKS, 3)
    assert len(ax.images) == 3
    left, right = (text.get_text() for text in ax.texts[1:])
    assert left.startswith("our network\ngradient\nHappy")
    assert right.startswith("mine\nGrad-CAM\nHappy")


def test_every_control_draws_again(panel):
    drawn = [displayed(panel)]
    panel.image.value = 3
    assert (panel.face().images == panel.faces.images[3:4]).all()
    drawn.append(displayed(panel))
    for control, value in ((panel.target, 5), (panel.sides[0][1], "Integrated Gradients"),
                           (panel.sides[1][0], "our network"), (panel.group, 2)):  # fmt: skip
        control.value = value
        drawn.append(displayed(panel))
    assert (panel.face().labels == 2).all() and panel.image.value == 0
    assert len({d["image/png"] for d in drawn}) == len(drawn)
    panel.predicted = np.zeros_like(panel.predicted)
    panel.group.value = 6
    assert "no image is predicted" in displayed(panel)


def test_ones_own_image_has_a_way_back_to_the_data(panel):
    panel.image.value = 1
    for _ in range(2):  # the same file again
        assert panel.back.disabled
        upload(panel, png())
        assert (panel.face().images == 90).all() and "image/png" in displayed(panel)
        assert not panel.back.disabled and panel.file.value == ()
        panel.back.click()
        assert (panel.face().images == panel.faces.images[1:2]).all()
    upload(panel, b"text", "me.txt")
    assert displayed(panel).startswith("me.txt: not an image")
    assert (panel.face().images == panel.faces.images[1:2]).all()
    with pytest.raises(UserError):
        explorer.own_image(b"", "empty.jpg")


def test_beside_the_panel_stands_its_still_figure(opened, monkeypatch):
    """A notebook saved from JupyterLab exports with the figure."""
    shown, faces = [], synthetic_faces(2, seed=0)
    monkeypatch.setattr(show, "_show", lambda payload, plain, **_: shown.append(plain))
    box = explorer.panel(DRAW, list(NETWORKS), faces, np.zeros(2, int), LOOKS)
    still = DRAW(faces.subset(np.array([0])), LOOKS)
    show.figure(still, widget=box, zh="圖", en="figure")
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= set(shown[0])
