"""Notebook 07's explorer: two attributions of one image side by side, chosen by hand.

Where somebody can click (JupyterLab, VS Code) it is a panel of controls, to be shown in place of
its first figure; elsewhere (papermill, an export) that figure is all there is.
"""

from __future__ import annotations

import base64
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hw3lib import UserError
from hw3lib.data.faces import CLASSES, UNLABELLED, Faces
from hw3lib.data.images import open_image, to_face
from hw3lib.data.source import door
from hw3lib.interpretation.attribution import METHODS
from hw3lib.text import as_text, tr

if TYPE_CHECKING:
    import ipywidgets as widgets
    from matplotlib.axes import Axes

WIDE = {"style": {"description_width": "initial"}, "layout": {"width": "auto"}}  # labels uncut
Look = tuple[str, str]  # one side of the comparison: the network's name, the method
# Draws one face under some Looks; the class that is explained, -1 for each network's prediction.
Draw = Callable[[Faces, Sequence[Look], int], "Axes"]


def interactive() -> bool:
    """Is this kernel a notebook's that somebody has open? Jupyter and VS Code tell the kernel."""
    shell = sys.modules.get("IPython")
    kernel = shell.get_ipython() if shell else None
    code = kernel is not None and "__vsc_ipynb_file__" in kernel.user_ns
    return code or bool(os.environ.get("JPY_SESSION_NAME"))


def own_image(data: bytes, name: str) -> Faces:
    """A JPEG or PNG file as one face without a label; DataError where it is none."""
    one = np.zeros(1, np.int64)
    with door(name):
        image = to_face(open_image(data, name))[None]
    return Faces(image, one + UNLABELLED, np.array([name]), np.array([""]), one, layout="own")


def panel(
    draw: Draw,
    networks: Sequence[str],
    faces: Faces,
    predicted: np.ndarray,
    looks: tuple[Look, Look],
) -> widgets.VBox | None:
    """The panel of controls; None where nobody can click.

    networks : names that `draw` knows;  predicted : (N,) class of each face, to choose one by
    looks    : what stands left and right to begin with
    """
    return Panel(draw, networks, faces, predicted, looks).box if interactive() else None


class Panel:
    """The controls and the figure below them."""

    def __init__(self, draw, networks, faces, predicted, looks) -> None:
        import ipywidgets as widgets

        def choice(name: str, options: Sequence, **value):
            return widgets.Dropdown(options=options, description=name, **value, **WIDE)

        def named(words: Sequence[str]) -> list[tuple[str, str]]:
            return [(str(as_text(word)), word) for word in words]

        self.draw, self.faces, self.predicted = draw, faces, predicted
        self.own: Faces | None = None
        classes = [(title, i) for i, (title, _) in enumerate(named(CLASSES))]
        self.group = choice(tr("預測為", "predicted as"), [(tr("全部", "all"), -1), *classes])
        self.image = widgets.IntSlider(
            0, 0, len(faces) - 1, description=tr("影像", "image"), **WIDE
        )
        self.target = choice(
            tr("解釋的類別", "explained class"), [(tr("網路的預測", "as predicted"), -1), *classes]
        )
        self.file = widgets.FileUpload(
            accept=".jpg,.jpeg,.png",
            description=tr("上傳影像", "upload an image"),
            layout=WIDE["layout"],
        )
        self.back = widgets.Button(
            description=tr("回到資料", "back to the data"), disabled=True, layout=WIDE["layout"]
        )
        self.sides = [
            (
                choice(tr("網路", "network"), named(networks), value=network),
                choice(tr("方法", "method"), named(METHODS), value=method),
            )
            for network, method in looks
        ]
        self.output = widgets.Output()
        names = (widgets.Label(tr("左", "left")), widgets.Label(tr("右", "right")))
        rows = [(self.group, self.image, self.target), (self.file, self.back)]
        rows += [(name, *side) for name, side in zip(names, self.sides, strict=True)]
        self.box = widgets.VBox([*(widgets.HBox(row) for row in rows), self.output])
        self.group.observe(self._regroup, names="value")
        self.file.observe(self._upload, names="value")
        self.image.observe(self._show, names="value")
        self.back.on_click(self._show)
        for control in (self.target, *(c for side in self.sides for c in side)):
            control.observe(self._redraw, names="value")
        self._redraw()

    @property
    def rows(self) -> np.ndarray:
        """Rows of the faces that are predicted as the chosen class."""
        return np.flatnonzero((self.predicted == self.group.value) | (self.group.value < 0))

    def face(self) -> Faces | None:
        """The uploaded or the chosen image; None where no image is predicted as the class."""
        if self.own is not None:
            return self.own
        return self.faces.subset(self.rows[[self.image.value]]) if len(self.rows) else None

    def _regroup(self, _) -> None:
        self.image.value, self.image.max = 0, max(0, len(self.rows) - 1)
        self._show()

    def _show(self, _=None, own: Faces | None = None) -> None:
        self.own, self.back.disabled = own, own is None
        self._redraw()

    def _upload(self, change) -> None:
        if not change["new"]:
            return
        file = change["new"][0]
        self.file.value = ()  # the same file can be chosen again
        try:
            self._show(own=own_image(bytes(file["content"]), file["name"]))
        except UserError as error:
            self._tell(str(error))

    def _tell(self, line: str) -> None:
        self.output.outputs = ({"output_type": "stream", "name": "stdout", "text": line + "\n"},)

    def _redraw(self, _=None) -> None:
        face = self.face()
        if face is None:
            self._tell(tr("沒有影像被預測為這個類別", "no image is predicted as this class"))
            return
        looks = [(network.value, method.value) for network, method in self.sides]
        self.output.outputs = (_as_output(self.draw(face, looks, self.target.value)),)


def _as_output(ax: Axes) -> dict:
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    ax.figure.savefig(buffer, format="png", dpi=130)
    plt.close(ax.figure)
    data = {"image/png": base64.b64encode(buffer.getvalue()).decode()}
    return {"output_type": "display_data", "data": data, "metadata": {}}
