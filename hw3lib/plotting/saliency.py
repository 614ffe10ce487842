"""Attributions over faces, by region and class, and what their checks found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import distance_transform_edt
from scipy.special import softmax

from hw3lib.data.faces import CLASSES, SIZE, UNLABELLED, Faces
from hw3lib.evaluation.intervals import Estimate
from hw3lib.interpretation.attribution import attribute_all, relative
from hw3lib.interpretation.checks import mean_interval
from hw3lib.interpretation.regions import REGIONS, region_masks
from hw3lib.models.network import Network, logits
from hw3lib.plotting import style
from hw3lib.plotting.images import Scale, image_grid, overlay
from hw3lib.plotting.intervals import interval_rows
from hw3lib.plotting.lines import curves
from hw3lib.plotting.publishing import MANY, exhibit, mean_face, release
from hw3lib.plotting.style import house_style, label
from hw3lib.text import Text, term

ONE_SCALE = Text("各圖除以其絕對值的平均，再除以該影像各圖的第 99 百分位數",
                 "map ÷ its mean |value|, then ÷ the image's 99th percentile")  # fmt: skip
DRAWS = 60  # stand-ins of a class, of which the one is shown that the network is surest of
FIXED = ("random order", "centred Gaussian")  # baselines that are the same for every method
SIGNS = {True: "○", False: "×", None: "△"}


def one_scale(maps: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """method -> (N, H, W) maps, so scaled that all methods of an image share the scale [-1, 1].

    In units of an even map (`relative`), over the 99th percentile of the image's maps together.
    """
    maps = {name: relative(values) for name, values in maps.items()}
    top = np.quantile(np.abs(np.stack(list(maps.values()))), 0.99, axis=(0, 2, 3))
    top = np.where(top > 0, top, 1)[:, None, None]
    return {name: values / top for name, values in maps.items()}


def attribution_grid(
    faces: Faces, maps: Mapping[str, np.ndarray], labels: Sequence[Text | str]
) -> Axes:
    """A row for each face, a column for each method, all maps of a face on one scale.

    maps : method -> (n, 48, 48) signed;  labels : beside each row
    """
    rows = [[face, *(overlay(face, values[i]) for values in one_scale(maps).values())]
            for i, face in enumerate(faces.images)]  # fmt: skip
    split = {"guided backprop": Text("導引\n反向傳播", "guided\nbackprop")}  # not 導引反向傳 and 播
    columns = [Text("影像", "image"), *(split.get(method, method) for method in maps)]
    scale = Scale(ONE_SCALE)
    return image_grid(rows, columns=columns, labels=labels, scale=scale, biggest=0.62)


def explain(
    network: Network, faces: Faces, *, options: Mapping[str, dict] | None = None
) -> tuple[Axes, Faces]:
    """An attribution_grid of what the network predicts for each face, and the faces it shows.

    In a published report these are stand-ins with maps of their own, for a map of one image is a
    portrait, too: of DRAWS faces of the class that is explained, its label, the network's surest.
    """
    scores, rows = softmax(logits(network, faces.images), axis=1), np.arange(len(faces))
    shown, target, labels = faces, scores.argmax(1), decision_labels(scores, faces.labels)
    if exhibit(faces) is not faces:
        many = exhibit(replace(faces, labels=target).subset(rows.repeat(DRAWS)))
        sure = softmax(logits(network, many.images), axis=1)[range(len(many)), many.labels]
        shown = many.subset(DRAWS * rows + sure.reshape(-1, DRAWS).argmax(1))
        labels = [term(CLASSES[c]) for c in target]
    maps = attribute_all(network, network.prepare(shown.images), target, options=options)
    return attribution_grid(shown, maps, labels), shown


def compare(
    networks: Mapping[str, Network],
    face: Faces,
    looks: Sequence[tuple[str, str]],
    target: int = -1,
    *,
    options: Mapping[str, dict] | None = None,
) -> Axes:
    """One face and its attributions, each titled with network, method, class and probability.

    networks : name -> Network;  face : one image;  looks : (network, method) of each attribution
    target : the class that is explained; -1 for what each network predicts itself
    """
    maps, true = [], int(face.labels[0])
    titles = [label(Text("影像", "image"), " ") if true == UNLABELLED else label(CLASSES[true])]
    for name, method in looks:
        inputs = networks[name].prepare(face.images)
        scores = softmax(logits(networks[name], face.images), axis=1)[0]
        wanted = int(scores.argmax()) if target < 0 else target
        found = attribute_all(networks[name], inputs, wanted, methods=[method], options=options)
        maps.append(found[method])
        said = f"{label(CLASSES[wanted])} {scores[wanted]:.0%}"
        titles.append("\n".join([label(name), label(method), said]))
    scaled = one_scale(dict(enumerate(maps))).values()
    cells = [face.images[0], *(overlay(face.images[0], values[0]) for values in scaled)]
    return image_grid([cells], titles=[titles], scale=Scale(ONE_SCALE), biggest=1.4)


def class_maps(faces: Faces, maps: Mapping[str, np.ndarray], counts: Sequence[int]) -> Axes:
    """Mean face of each class and, below, each method's mean importance over it.

    maps : method -> (7, 48, 48) >= 0;  counts : images in each class's mean importance
    """
    rows = [[None] * len(CLASSES) for _ in range(1 + len(maps))]
    for c in range(len(CLASSES)):
        same = faces.images[faces.labels == c]
        if not len(same):
            continue
        rows[0][c] = mean = mean_face(same.mean(axis=0), len(same))
        for row, values in zip(rows[1:], maps.values(), strict=True):
            if counts[c]:
                drawn = overlay(mean, values[c] / np.quantile(values[c], 0.99), diverging=False)
                row[c] = release(drawn) if counts[c] >= MANY else drawn
    heads = [f"{label(name)}\nn = {n:,}" for name, n in zip(CLASSES, counts, strict=True)]
    name = Text("每張圖除以自己的第 99 百分位數", "each map divided by its own 99th percentile")
    labels = [Text("平均臉", "mean face"), *maps]
    scale = Scale(name, style.IMPORTANCE, 0, 1)
    return image_grid(rows, columns=heads, labels=labels, scale=scale, biggest=0.62)


def decision_labels(probabilities: np.ndarray, labels: np.ndarray) -> list[Text]:
    """For each image its class and the probability, or "true → predicted" where they differ."""
    texts = []
    for row, true in zip(probabilities, labels, strict=True):
        guess, names = int(row.argmax()), [term(CLASSES[true])]
        names += [term(CLASSES[guess])] if guess != true else []
        zh, en = "→".join(n.zh for n in names), "\n→ ".join(n.en for n in names)
        texts.append(Text(f"{zh} {row[guess]:.0%}", f"{en} {row[guess]:.0%}"))
    return texts


@house_style()
def region_chart(images: np.ndarray, densities: Mapping[Text | str, pd.DataFrame]) -> Figure:
    """The regions, numbered, on the mean face, and how densely each holds the attribution.

    images : (N, 48, 48), the faces whose mean is drawn
    densities : series -> (N, 7) frame of regions.region_density
    """
    fig, (left, right) = style.subplots(1, 2, width_ratios=[1, 2.1])
    left.imshow(mean_face(images.mean(axis=0), len(images)), cmap="gray")
    left.set_axis_off()
    for number, mask in enumerate(region_masks().values(), start=1):
        for colour, width in (("white", 1.6), (style.BLACK, 0.6)):
            left.contour(mask, levels=[0.5], colors=colour, linewidths=width)
        depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
        y, x = np.unravel_index(depth.argmax(), depth.shape)  # deep inside the region, at the left
        disc = {"boxstyle": "circle,pad=0.15", "fc": style.BLACK, "ec": "white", "lw": 0.8}
        for at in (x,) if mask[y, x:-x].all() else (x, SIZE - 1 - x):
            left.text(at, y, str(number), ha="center", va="center", color="white", bbox=disc)
    names = [Text(f"{i} {term(r).zh}", f"{i} {r}") for i, r in enumerate(REGIONS, start=1)]
    rows = {name: pd.DataFrame([mean_interval(frame[r]) for r in REGIONS], index=names)
            for name, frame in densities.items()}  # fmt: skip
    title = Text("歸因密度（1 為均勻分布）", "density of the attribution (1 = uniform)")
    interval_rows(rows, title=title, unit="", reference=1, ax=right)
    style.legend_below(fig)
    return fig


def cascade_curves(check: pd.DataFrame, *, limit: float) -> Axes:
    """Similarity to the trained network's maps as layers are randomised, one line a method.

    check : of randomisation.randomisation_check
    """
    series = {}
    for method, rows in check.groupby("method", sort=False):
        steps = {0.0: Estimate(1.0, 1.0, 1.0)}
        for share, values in rows.groupby("randomised")["similarity"]:
            steps[share] = mean_interval(values.to_numpy())
        series[method] = pd.DataFrame(list(steps.values()), index=list(steps))
    x = Text("隨機化的層（由最後一層起）", "layers randomised, from the last")
    y = Text("等級相關", "rank correlation")
    return curves(series, x=x, y=y, x_unit="%", reference=limit, height=1.8)


def order_curves(found: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]) -> Figure:
    """Mean probability of the explained class as blocks are deleted, and as they are inserted.

    found : "deletion" and "insertion" -> of checks.deletion_curves; the baselines that are the
        same for every method are drawn once
    """
    panels = {}
    for name, curves_of in found.items():
        lines = {**curves_of[""], **{b: next(iter(curves_of[b].values())) for b in FIXED}}
        title = Text(f"{term(name).zh}，最重要的先", f"{name}, most important first")
        panels[title] = {
            line: pd.Series(values.mean(axis=0), index=np.linspace(0, 1, values.shape[1]))
            for line, values in lines.items()
        }
    y = Text("原預測類別的機率", "probability of the class")
    return style.side_by_side(
        curves, panels, x=Text("面積", "area"), y=y, x_unit="%", y_unit="%", baseline=FIXED[-1]
    )


def verdict_table(
    judged: pd.DataFrame, verdicts: Mapping[str, str], *, interval: bool = False
) -> pd.DataFrame:
    """A row for each check and what it is compared with, a column for each method, verdicts last.

    judged, verdicts : of interpretation.checks.judge and verdicts
    """
    rows = []
    for (check, against), part in judged.groupby(["check", "against"], sort=False):
        parts = [term(name) for name in (check, against) if name]
        title = Text("、".join(t.zh for t in parts), ", ".join(t.en for t in parts))
        values = [Estimate(*e) for e in part[["value", "low", "high"]].to_numpy()]
        shown = values if interval else part["value"]
        cells = zip(shown, part["passes"], strict=True)
        rows.append([title, *(f"{value:z.2f} {SIGNS[passes]}" for value, passes in cells)])
    rows.append([Text("判定", "verdict"), *map(term, verdicts.values())])
    return pd.DataFrame(rows, columns=[Text("檢驗", "check"), *map(term, verdicts)])
