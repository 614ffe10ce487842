"""Notebook 07's explorer: two attributions of one picture side by side, chosen by hand.

In JupyterLab it is a panel of controls; beside it stands a figure of its first choice, `compare`,
which is what an export shows and where nobody can click (papermill) all there is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hw3lib import UserError
from hw3lib.data.faces import CLASSES, UNLABELLED, Faces
from hw3lib.data.images import Decoder
from hw3lib.data.source import Place, door
from hw3lib.models.network import Network, logits
from hw3lib.plotting import Scale, image_grid, overlay
from hw3lib.plotting.style import label
from hw3lib.portraits import cover, exhibit, publishing
from hw3lib.saliency import METHODS, attribute_all, known
from hw3lib.text import Text, term, tr

if TYPE_CHECKING:
    import ipywidgets as widgets
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import nn


@dataclass(frozen=True)
class Look:
    """One side of the comparison: whose attribution, by which method."""

    network: str
    method: str


def like(network: Network, model: nn.Module) -> Network:
    """The Network with another model of the same architecture in its place."""
    return replace(network, model=model)


def interactive() -> bool:
    """Is this kernel a notebook's that somebody has open? Jupyter and VS Code tell the kernel."""
    shell = sys.modules.get("IPython")
    kernel = shell.get_ipython() if shell else None
    code = kernel is not None and "__vsc_ipynb_file__" in kernel.user_ns
    return code or bool(os.environ.get("JPY_SESSION_NAME"))


def compare(
    networks: Mapping[str, tuple[Text, Network]],
    face: Faces,
    looks: Sequence[Look],
    *,
    target: int = -1,
    options: Mapping[str, dict] | None = None,
) -> Axes:
    """One face and its attributions, each titled with network, method, class and probability.

    networks : name -> (title, Network);  face : one picture; see hw3lib.portraits.exhibit
    target   : the class that is explained; -1 for what each network predicts itself
    """
    from scipy.special import softmax

    cells, titles = [face.images[0]], [_true_class(face)]
    for look in looks:
        title, network = networks[look.network]
        scores = softmax(logits(network, face.images), axis=1)[0]
        wanted = int(scores.argmax()) if target < 0 else target
        maps = attribute_all(network, network.prepare(face.images), wanted,
                             methods=[look.method], options=options)  # fmt: skip
        cells.append(overlay(face.images[0], maps[look.method][0]))
        said = Text(f"{term(CLASSES[wanted]).zh} {scores[wanted]:.0%}",
                    f"{CLASSES[wanted]} {scores[wanted]:.0%}")  # fmt: skip
        names = [title, known(look.method).title, said]
        titles.append("\n".join(map(label, names)))
    name = Text("除以絕對值的第 99 百分位數", "over the 99th percentile of the absolute values")
    return image_grid([cells], titles=[titles], scale=Scale(name), biggest=1.4)


def _true_class(face: Faces) -> str:
    true = int(face.labels[0])
    return tr("影像", "image") if true == UNLABELLED else label(CLASSES[true])


def own_picture(data: bytes, name: str) -> Faces:
    """A JPEG or PNG file as one face without a label; DataError where it is none."""
    with door(Place(name)):
        image = Decoder().decode(data, name)[None]
    one = np.zeros(1, np.int64)
    return Faces(image, one + UNLABELLED, np.array([name]), np.array([""]), one, layout="own")


def panel(
    networks: Mapping[str, tuple[Text, Network]],
    faces: Faces,
    predicted: np.ndarray,
    looks: Sequence[Look],
    *,
    options: Mapping[str, dict] | None = None,
) -> widgets.VBox | None:
    """The panel of controls; None where nobody can click.

    predicted : (N,) class of each face, to choose a picture by;  looks : the two to begin with
    """
    return _Panel(networks, faces, predicted, options, looks).box if interactive() else None


class _Panel:
    """The controls and the figure below them."""

    def __init__(self, networks, faces, predicted, options, looks) -> None:
        import ipywidgets as widgets

        self.networks, self.faces, self.options = networks, faces, options
        self.predicted, self.own = predicted, None
        names = [(str(term(c)), i) for i, c in enumerate(CLASSES)]
        self.group = widgets.Dropdown(
            options=[(tr("全部", "all"), -1), *names], description=tr("預測為", "predicted")
        )
        self.picture = widgets.IntSlider(0, 0, len(faces) - 1, description=tr("影像", "picture"))
        self.file = widgets.FileUpload(
            accept=".jpg,.jpeg,.png", description=tr("自己的檔案", "own file")
        )
        self.target = widgets.Dropdown(
            options=[(tr("網路的預測", "as predicted"), -1), *names],
            description=tr("解釋", "explain"),
        )
        self.sides = [self._side(look) for look in looks]
        self.output = widgets.Output()
        rows = [[self.group, self.picture, self.file, self.target], *self.sides]
        self.box = widgets.VBox([*(widgets.HBox(row) for row in rows), self.output])
        self.group.observe(self._regroup, names="value")
        self.file.observe(self._upload, names="value")
        self.picture.observe(self._from_data, names="value")
        for control in (self.target, *(c for side in self.sides for c in side)):
            control.observe(self._draw, names="value")
        self._draw()

    def _side(self, look: Look) -> list:
        import ipywidgets as widgets

        network = widgets.Dropdown(
            options=[(str(title), name) for name, (title, _) in self.networks.items()],
            value=look.network,
            description=tr("網路", "network"),
        )
        method = widgets.Dropdown(
            options=[(str(m.title), name) for name, m in METHODS.items()],
            value=look.method,
            description=tr("方法", "method"),
        )
        return [network, method]

    @property
    def rows(self) -> np.ndarray:
        group = self.group.value
        return np.flatnonzero((self.predicted == group) | (group < 0))

    def face(self) -> Faces | None:
        """The chosen picture, or a stand-in for it; None where no picture is of the class."""
        if self.own is not None:
            return self.own
        return (
            exhibit(self.faces.subset(self.rows[[self.picture.value]])) if len(self.rows) else None
        )

    def _regroup(self, _) -> None:
        self.own = None
        self.picture.value, self.picture.max = 0, max(0, len(self.rows) - 1)
        self._draw()

    def _from_data(self, _) -> None:
        self.own = None
        self._draw()

    def _upload(self, change) -> None:
        if change["new"]:
            file = change["new"][0]
            try:
                self.own = own_picture(bytes(file["content"]), file["name"])
            except UserError as error:
                self._tell(str(error))
            else:
                self._draw()

    def _tell(self, line: str) -> None:
        self.output.outputs = ({"output_type": "stream", "name": "stdout", "text": line + "\n"},)

    def _draw(self, _=None) -> None:
        import matplotlib.pyplot as plt

        face = self.face()
        if face is None:
            self._tell(tr("這個類別沒有影像", "no picture of this class"))
            return
        looks = [Look(network.value, method.value) for network, method in self.sides]
        fig = compare(
            self.networks, face, looks, target=self.target.value, options=self.options
        ).figure
        if publishing() and not face.synthetic:
            cover(fig)
        self.output.outputs = (_as_output(fig),)
        plt.close(fig)


def _as_output(fig: Figure) -> dict:
    import base64
    import io

    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=130)
    data = {"image/png": base64.b64encode(buffer.getvalue()).decode()}
    return {"output_type": "display_data", "data": data, "metadata": {}}
