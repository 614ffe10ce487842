"""What filters respond to: kernels, receptive fields, top patches, class selectivity, ablation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from hw3lib import UserError
from hw3lib.data.faces import SIZE
from hw3lib.evaluation.intervals import Estimate
from hw3lib.evaluation.statistics import over_seeds
from hw3lib.interpretation.attribution import class_means, features, frozen_copy, layers
from hw3lib.interpretation.checks import mean_interval
from hw3lib.interpretation.regions import REGIONS, region_masks
from hw3lib.models.network import Network, logits

KINDS = ("edge", "line or spot", "brightness")
DRAWS = 16  # of random filters that are left out, to compare with


@dataclass(frozen=True)
class FilterLayer:
    """A convolution and where the responses of its filters are read.

    A response is what the filter's ReLU receives, with the batch norm and the shortcut that lie
    between: below zero the filter is silent. Where no ReLU follows it is the convolution's output.

    conv    : name in the model;  kernels : (K, C, kh, kw), detached
    read    : node of the model's graph that gives the responses;  relu : the ReLU's name or ""
    shape   : (K filters, h, w) of one image's responses
    """

    conv: str
    kernels: Tensor
    read: str
    relu: str
    shape: tuple[int, int, int]

    def __len__(self) -> int:
        return self.shape[0]


def filter_layers(network: Network) -> list[FilterLayer]:
    """Every convolution of the network that sees more than a single pixel, in running order."""
    blank = torch.zeros(1, network.in_channels, SIZE, SIZE, device=network.device)
    ran, found = layers(network, blank), []
    for i, layer in enumerate(ran):
        if not isinstance(layer.module, nn.Conv2d) or layer.module.kernel_size == (1, 1):
            continue
        relus = (r for r in ran[i:] if isinstance(r.module, nn.ReLU) and r.shape == layer.shape)
        relu = next(relus, None)
        read, name = (relu.before, relu.name) if relu else (layer.name, "")
        kernels = layer.module.weight.detach()
        found.append(FilterLayer(layer.name, kernels, read, name, layer.shape))
    if not found:
        raise UserError("filter activation: the network has no convolution")
    return found


def stages(layers: Sequence[FilterLayer]) -> dict[int, FilterLayer]:
    """Side of the maps -> the last layer with maps of that size: the end of each stage."""
    return {layer.shape[1]: layer for layer in layers}


def responses(network: Network, images: np.ndarray, layer: FilterLayer) -> np.ndarray:
    """(N, 48, 48) uint8 -> (N, K, h, w) float32, for a few images."""
    with torch.no_grad():
        values = features(network, [layer.read])(network.prepare(images))
    return values[layer.read].cpu().numpy()


def kernel_kinds(kernels: np.ndarray) -> np.ndarray:
    """(K, kh, kw) -> (K,) names in KINDS: what makes up most of a kernel's energy.

    A kernel is the sum of three parts that are orthogonal: what changes its sign when turned by
    180 degrees (light on one side, dark on the other: an edge), its mean (brightness), and the
    rest, which stays as it is when turned (a line or a spot with the opposite beside it).
    """
    turned = kernels[:, ::-1, ::-1]
    mean = kernels.mean((1, 2), keepdims=True)
    parts = (
        (kernels - turned) / 2,
        (kernels + turned) / 2 - mean,
        np.broadcast_to(mean, turned.shape),
    )
    return np.array(KINDS)[np.argmax([(part**2).sum((1, 2)) for part in parts], axis=0)]


@dataclass(frozen=True)
class Survey:
    """How a layer's filters respond to many images.

    mean  : (N, K) mean over the map of what passes the ReLU, the strength compared everywhere
    peak  : (N, K) largest response in the map;  where : (N, K, 2) its row and column in the map
    """

    mean: np.ndarray
    peak: np.ndarray
    where: np.ndarray

    @property
    def dead(self) -> list[int]:
        """Filters whose strength is the same for every image: they tell nothing."""
        return np.flatnonzero(np.ptp(self.mean, axis=0) == 0).tolist()


def survey(
    network: Network, images: np.ndarray, layers: Sequence[FilterLayer], *, batch: int = 64
) -> list[Survey]:
    """A Survey of each layer, all of them in one pass over `images` (N, 48, 48) uint8."""
    model = features(network, {layer.read for layer in layers})
    parts: list[list[tuple[Tensor, ...]]] = [[] for _ in layers]
    for start in range(0, len(images), batch):
        inputs = network.prepare(np.ascontiguousarray(images[start : start + batch]))
        with torch.no_grad():
            values = model(inputs)
        for layer, found in zip(layers, parts, strict=True):
            maps = values[layer.read]
            peak, at = maps.flatten(2).max(2)
            where = torch.stack([at // maps.shape[3], at % maps.shape[3]], dim=2)
            passed = maps.relu() if layer.relu else maps
            found.append((passed.mean((2, 3)), peak, where))
    return [Survey(*(torch.cat(p).cpu().numpy() for p in zip(*f, strict=True))) for f in parts]


def receptive_fields(network: Network, layer: FilterLayer) -> np.ndarray:
    """(h, w, 4) int: top, bottom, left, right (bottom and right outside) that each unit can see.

    Found by letting NaN into one row, then one column, of the image: a unit turns NaN exactly
    if that pixel is wired to it, whatever the weights. In float64, where convolution is a plain
    sum: the fast float32 algorithms mix neighbours.
    """
    model = features(frozen_copy(network).cpu().double(), [layer.read])
    images = torch.zeros(2 * SIZE, network.in_channels, SIZE, SIZE, dtype=torch.float64)
    for i in range(SIZE):
        images[i, :, i, :] = np.nan
        images[SIZE + i, :, :, i] = np.nan
    with torch.no_grad():
        reached = model(images)[layer.read].isnan().any(dim=1).numpy()  # (96, h, w)
    ends = []
    for seen in (reached[:SIZE], reached[SIZE:]):
        ends += [seen.argmax(0), SIZE - seen[::-1].argmax(0)]
    return np.stack(ends, axis=-1)


def field_size(fields: np.ndarray) -> tuple[int, int]:
    """Height and width, in pixels, of the largest receptive field of a layer."""
    return tuple(int((fields[..., i + 1] - fields[..., i]).max()) for i in (0, 2))


def top_patches(
    images: np.ndarray,
    seen: Survey,
    fields: np.ndarray,
    number: int,
    *,
    count: int,
    by: str,
    group: np.ndarray,
) -> list[np.ndarray]:
    """What the strongest unit of filter `number` sees in the `count` images that activate it most.

    images : (N, 48, 48) to cut from;  seen, fields : their Survey, the layer's receptive_fields
    by     : images ranked by their largest response ("peak") or their strength ("mean")
    group  : (N,) groups of copies; only the first image of a group is taken
    """
    order = np.argsort(-getattr(seen, by)[:, number], kind="stable")
    order = order[np.sort(np.unique(group[order], return_index=True)[1])][:count]
    boxes = fields[tuple(seen.where[order, number].T)]
    return [images[n, t:b, le:r] for n, (t, b, le, r) in zip(order, boxes, strict=True)]


def class_profile(mean: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N, K) strengths -> (K, 7) mean of each class, in standard deviations from the filter's mean.

    A dead filter has a row of zeros, a class without images a column of NaN.
    """
    spread = mean.std(0)
    scores = np.divide(mean - mean.mean(0), spread, out=np.zeros_like(mean), where=spread > 0)
    return class_means(scores, labels).T


def selectivity(mean: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N, K) -> (K,) share of a filter's variance that lies between the classes, 0 to 1.

    Omega squared: eta squared less what chance alone would give, so 0 means no selectivity
    (slightly negative values are chance) however many images there are. A dead filter gives 0.
    """
    total = ((mean - mean.mean(0)) ** 2).sum(0)
    groups = [mean[labels == c] for c in np.unique(labels)]
    within = sum(((g - g.mean(0)) ** 2).sum(0) for g in groups)
    noise = within / max(1, len(mean) - len(groups))
    top = total - within - (len(groups) - 1) * noise
    return np.divide(top, total + noise, out=np.zeros_like(total), where=total > 0)


def margins(profile: np.ndarray) -> np.ndarray:
    """(K, 7) profile -> (7, K): by how much each class lies above the filter's next class."""
    scores = np.nan_to_num(profile, nan=np.nanmin(profile))
    first, second = (np.sort(scores, axis=1)[:, -i, None] for i in (1, 2))
    return np.where(scores == first, scores - second, scores - first).T


def most_selective(profile: np.ndarray) -> list[int]:
    """(K, 7) profile -> for each class the filter that sets it off most from all other classes.

    The assignment with the highest sum of margins over the next class; no filter serves twice,
    and with fewer filters than classes only the classes that gain most are served.
    """
    classes, filters = linear_sum_assignment(-margins(profile))
    return filters[np.argsort(classes)].tolist()


def region_falls(
    network: Network,
    layer: FilterLayer,
    filters: Sequence[int],
    images: np.ndarray,
    seen: Survey,
    *,
    count: int = 30,
) -> np.ndarray:
    """(F, 7, count) fall of a filter's strength as a region (of REGIONS) shows the mean face.

    On the `count` images of highest strength, in units of the filter's mean strength there: what
    was particular about the region is gone, but nothing that no face has is put in its place.

    images : (N, 48, 48) uint8;  seen : their Survey of the layer
    """
    mean, masks, falls = images.mean(0).round().astype(np.uint8), region_masks(), []
    for f in filters:
        top = images[np.argsort(-seen.mean[:, f], kind="stable")[:count]]
        changed = np.concatenate([top, *(np.where(mask, mean, top) for mask in masks.values())])
        (found,) = survey(network, changed, [layer])
        whole, *left = found.mean[:, f].reshape(1 + len(masks), len(top))
        falls.append((whole - np.stack(left)) / max(float(whole.mean()), 1e-12))
    return np.stack(falls)


def leading_region(values: np.ndarray, *, among: int = 1) -> str | None:
    """(7, n) of n images, a row for each of REGIONS -> the region of the highest mean, if certain.

    Certain: its 95 % interval over the images lies above 0, and so does that of its lead over
    the next one, for the choice of it among the regions (Bonferroni) and `among` so many filters.
    """
    first, second = np.argsort(-values.mean(1))[:2]
    among *= len(values) - 1
    lead = mean_interval(values[first] - values[second], among=among)
    certain = lead.low > 0 and mean_interval(values[first], among=among).low > 0
    return REGIONS[first] if certain else None


def silenced(network: Network, layer: FilterLayer, filters: Sequence[int]) -> Network:
    """A copy of the network in which the filters of the layer give 0."""
    keep = torch.ones(len(layer), device=network.device)
    keep[list(map(int, filters))] = 0
    model = frozen_copy(network)
    module = model.get_submodule(layer.relu or layer.conv)
    module.register_forward_hook(lambda module, inputs, output: output * keep[:, None, None])
    return replace(network, model=model)


@dataclass(frozen=True)
class Ablation:
    """What ablating filters costs: 1 for an image that is lost, -1 for one gained, else 0.

    own    : (7, N) without the filters of each class;  labels : (N,)
    random : (N,) without as many at random, mean of the draws;  count : filters left out at a time
    recall : (7,) of the whole network; NaN for a class without images
    """

    own: np.ndarray
    random: np.ndarray
    labels: np.ndarray
    count: int
    recall: np.ndarray

    @property
    def recall_change(self) -> np.ndarray:
        """(7, 7): without the filters of the row's class, the change in the column's recall.

        A class without images is NaN.
        """
        return class_means(-self.own.T, self.labels).T

    def losses(self) -> dict[str, Estimate]:
        """Recall lost without the filters of the own class, without random ones, and the
        difference: means over the classes with any recall to lose.

        The classes are fixed, the images of each a sample: 95 % intervals over the images.
        """
        own = self.own[self.labels, np.arange(len(self.labels))]
        values = {"own": own, "random": self.random, "difference": own - self.random}
        return {name: self._mean_of_classes(v) for name, v in values.items()}

    def _mean_of_classes(self, values: np.ndarray) -> Estimate:
        """Student's t interval of each class; their half-widths add up in squares."""
        each = [over_seeds(values[self.labels == c]) for c in np.flatnonzero(self.recall > 0)]
        if not each:
            return Estimate(np.nan, np.nan, np.nan)
        mean = np.mean([e.value for e in each])
        half = np.sqrt(sum((e.high - e.value) ** 2 for e in each)) / len(each)
        return Estimate(float(mean), float(mean - half), float(mean + half))


def ablate(
    network: Network,
    images: np.ndarray,
    labels: np.ndarray,
    layer: FilterLayer,
    profile: np.ndarray,
) -> Ablation:
    """Leave out, class by class, the tenth of the layer's filters that sets it off most.

    images : (N, 48, 48) uint8;  labels : (N,);  profile : (K, 7) of class_profile
    """
    count, rng = max(1, round(len(layer) / 10)), np.random.default_rng(0)

    def right(filters: Sequence[int]) -> np.ndarray:
        return logits(silenced(network, layer, filters), images).argmax(1) == labels

    whole = right([]).astype(float)
    own = np.argsort(-margins(profile), axis=1, kind="stable")[:, :count]
    chance = [rng.choice(len(layer), count, replace=False) for _ in range(DRAWS)]
    lost, at_random = (np.stack([whole - right(f) for f in chosen]) for chosen in (own, chance))
    return Ablation(lost, at_random.mean(0), labels, count, class_means(whole, labels))
