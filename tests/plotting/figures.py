"""One of every kind of figure that the notebooks draw, of made-up data."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hw3lib import plotting
from hw3lib.data.synthetic import synthetic_faces
from hw3lib.interpretation import attribution
from hw3lib.interpretation.regions import REGIONS
from hw3lib.models import build
from hw3lib.plotting import filters, images, saliency
from hw3lib.plotting.diagram import block_diagram
from hw3lib.text import Text

RNG = np.random.default_rng(0)
FACES = synthetic_faces(105)
NOISE = RNG.normal(size=(7, 48, 48))
SMALL = RNG.normal(size=(40, 3, 3))
METHODS = tuple(attribution.METHODS)
ARMS = [Text("都不用", "neither"), Text("只有擴增", "augmentation only"),
        Text("只有提早停止", "early stopping only"), Text("兩者都用", "both")]  # fmt: skip
CONFUSION = RNG.integers(0, 40, (7, 7)) + np.diag([60, 9, 60, 200, 60, 70, 60])
UNIT = np.linspace(0, 1, 9)


def history(rate: float, rise: float) -> pd.DataFrame:
    """A training that overfits the more the larger `rise`."""
    epoch = np.arange(1, 31)
    return pd.DataFrame({
        "epoch": epoch, "train_accuracy": 1 - 0.8 * np.exp(-epoch / rate),
        "validation_accuracy": 0.6 - 0.4 * np.exp(-epoch / 4),
        "train_loss": 1.9 * np.exp(-epoch / rate),
        "validation_loss": 1.1 + 0.8 * np.exp(-epoch / 4) + rise * epoch,
    })  # fmt: skip


def estimates(values, names=None, width: float = 0.02) -> pd.DataFrame:
    values = np.asarray(values, float)
    return pd.DataFrame({"value": values, "low": values - width, "high": values + width}, names)


HISTORIES = {Text("ResNet-18，未正則化", "ResNet-18, no regularisation"): history(4, 0.06),
             Text("ResNet-18，正則化", "ResNet-18, regularised"): history(9, 0)}  # fmt: skip


def reliability():
    right = np.arange(4, 11) / 10
    frame = pd.DataFrame({"left": right - 0.1, "right": right, "n": [5, 20, 60, 80, 120, 200, 500],
                          "confidence": right - 0.05, "accuracy": right - 0.15,
                          "low": right - 0.2, "high": right - 0.1})  # fmt: skip
    return plotting.reliability({Text("原本", "as trained"): frame,
                                 Text("溫度縮放", "temperature scaled"): frame})  # fmt: skip


def trade_off():
    tau = np.linspace(0, 1.5, 31)
    sweep = pd.DataFrame({"tau": tau, "accuracy": 0.65 - 0.03 * tau**2,
                          "balanced": 0.55 + 0.05 * tau})  # fmt: skip
    rules = {Text("argmax（貝氏）", "argmax (Bayes)"): (0.65, 0.55),
             Text("除以先驗", "divide by the prior"): (0.62, 0.6),
             Text("參考報告的規則", "the reference report's rule"): (0.65, 0.55),
             Text("最小期望成本", "minimum expected cost"): (0.63, 0.565)}  # fmt: skip
    return plotting.trade_off(sweep, rules)


def pairs():
    names = [plotting.pair_name(4, 6), plotting.pair_name(1, 5), plotting.pair_name(0, 2)]
    return plotting.interval_rows(
        {"test": estimates([0.1, 0.08, 0.06], names), "validation": estimates([0.1] * 3, names)},
        title=Text("兩類影像中被認成對方的比例",
                   "share of the two classes' images taken for the other"),
    )  # fmt: skip


def cascade():
    rows = [(m, x, np.exp(-3 * x) + e) for m in METHODS for x in UNIT[1:] for e in (-0.05, 0.05)]
    columns = ["method", "randomised", "similarity"]
    return saliency.cascade_curves(pd.DataFrame(rows, columns=columns), limit=0.3)


NAMES = (*METHODS, *saliency.FIXED)


def orders():
    fall = {m: np.tile(0.9 * np.exp(-k * UNIT), (3, 1)) for k, m in enumerate(NAMES)}
    found = {"": {m: fall[m] for m in METHODS}, **{b: {"": fall[b]} for b in saliency.FIXED}}
    return saliency.order_curves({"deletion": found, "insertion": found})


def regions():
    frame = pd.DataFrame(RNG.random((9, 7)), columns=list(REGIONS))
    series = {Text("訓練後", "trained"): frame, Text("隨機權重", "random weights"): frame}
    return saliency.region_chart(FACES.images, series)


def heatmaps():
    panels = {name: plotting.by_class(NOISE[:, 0, :7]) for name in ("ResNet-18", "VGG-16")}
    return plotting.side_by_side(
        plotting.matrix, panels, texts="+.0f", middle=0, top=3,
        x=Text("類別的影像", "images of the class"),
        y=Text("關閉此類別的濾波器", "filters of this class ablated"),
    )  # fmt: skip


def spreads():
    values = plotting.spread({f"features.{i}": RNG.random(20) for i in range(13)})
    series = {Text("訓練後", "trained"): values, "untrained": values}
    return plotting.side_by_side(
        plotting.interval_rows, {"ResNet-18": series, "VGG-16": series}, height=3.6, sharey=False,
        unit="", title=Text("類別選擇性 ω²", "selectivity ω²"),
    )  # fmt: skip


def attributions():
    probabilities = np.eye(7)[[5, 1, 2]]
    labels = saliency.decision_labels(probabilities, np.array([4, 1, 6]))
    return saliency.attribution_grid(
        FACES.subset(np.arange(3)), dict.fromkeys(METHODS, NOISE), labels
    )


def sheet():
    names = filters.filter_labels(range(7), np.eye(7))
    kinds = {"gradient ascent": [FACES.images[:7]], "untrained": [FACES.images[7:14]],
             "top patches": [list(FACES.images[:7, :20, :20])] * 3}  # fmt: skip
    return filters.filter_sheet(kinds, names)


def mistakes():
    titles = [[f"→{plotting.style.label('Surprise')}\n90%"] * 8] * 2
    labels = [plotting.pair_name(4, 6), plotting.pair_name(1, 5)]
    return plotting.image_grid([FACES.images[:8], FACES.images[:5]], titles=titles, labels=labels)


FIGURES = {
    "history": lambda: plotting.history(HISTORIES),
    "curves": lambda: plotting.curves(
        {arm: estimates([0.5, 0.6]).set_index(pd.Index([1, 2])) for arm in ARMS},
        x="epoch", y="accuracy", y_unit="%"),
    "reliability": reliability, "trade-off": trade_off, "pairs": pairs,
    "effects": lambda: plotting.interval_rows(
        estimates([0.1, -0.02, np.nan], ARMS[1:]), unit="pp", reference=0, title="accuracy"),
    "cascade": cascade, "orders": orders, "regions": regions,
    "confusion": lambda: plotting.confusion(CONFUSION),
    "heatmaps": heatmaps, "spreads": spreads,
    "mean faces": lambda: plotting.mean_faces(
        FACES, samples=images.first_of_each_class(FACES, 3)),
    "conflicts": lambda: plotting.image_grid(
        [FACES.images[:8]], titles=[[Text("生氣／恐懼／驚訝", "Angry / Fear / Surprise")] * 8]),
    "mistakes": mistakes, "attributions": attributions,
    "class maps": lambda: saliency.class_maps(
        FACES, dict.fromkeys(METHODS[:3], np.abs(NOISE)), [30] * 7),
    "kernels": lambda: filters.kernel_sheet(
        {Text("精簡殘差網路", "slim network"): NOISE[:, :5, :5], "V": SMALL}),
    "responses": lambda: filters.response_sheet(
        FACES.images[:2], RNG.normal(size=(2, 6, 24, 24)), NOISE[:6, :5, :5], range(6)),
    "last layer": sheet,
    "diagram": lambda: block_diagram(build("resnet18", width=0.25)),
}  # fmt: skip
