"""What filters answer to: kernels, responses, receptive fields, top patches."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from hw3lib import UserError
from hw3lib.data.faces import SIZE
from hw3lib.models.network import Network
from hw3lib.probing import layers, redrawn, untouched, value_at, values_at


@dataclass(frozen=True)
class FilterLayer:
    """A convolution and where the response of its filters is read.

    A response is what the filter's ReLU receives, with the batch norm and the shortcut that lie
    between: below zero the filter is silent. Where no ReLU follows it is the convolution's output.

    conv, read : names in the model;  side : "input" or "output" of `read`
    shape      : (K filters, h, w) of one picture's responses
    """

    conv: str
    kernels: Tensor  # (K, C, kh, kw), detached
    read: str
    side: str
    shape: tuple[int, int, int]

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def rectified(self) -> bool:
        return self.side == "input"


def filter_layers(network: Network) -> list[FilterLayer]:
    """Every convolution of the network that sees more than a single pixel, in running order."""
    ran = layers(network, blank(network))
    found = []
    for i, layer in enumerate(ran):
        if not isinstance(layer.module, nn.Conv2d) or layer.module.kernel_size == (1, 1):
            continue
        relu = next(
            (r for r in ran[i:] if isinstance(r.module, nn.ReLU) and r.shape == layer.shape), None
        )
        read, side = (relu.name, "input") if relu else (layer.name, "output")
        kernels = layer.module.weight.detach()
        found.append(FilterLayer(layer.name, kernels, read, side, layer.shape))
    if not found:
        raise UserError("filter activation: the network has no convolution")
    return found


def stages(layers: Sequence[FilterLayer]) -> dict[int, FilterLayer]:
    """Side of the maps -> the last layer with maps of that size: the end of each stage."""
    return {layer.shape[1]: layer for layer in layers}


def blank(network: Network) -> Tensor:
    """One even grey picture (1, in_channels, 48, 48), as the network takes it."""
    return torch.zeros(1, network.in_channels, SIZE, SIZE, device=network.device)


def responses(network: Network, images: np.ndarray, layer: FilterLayer) -> np.ndarray:
    """(N, 48, 48) uint8 -> (N, K, h, w) float32, for a few pictures."""
    with torch.no_grad():
        return value_at(network, network.prepare(images), layer.read, side=layer.side).cpu().numpy()


@dataclass(frozen=True)
class Survey:
    """How a layer's filters answer to many pictures.

    mean  : (N, K) mean over the map of what passes the ReLU, the strength compared everywhere
    peak  : (N, K) largest response in the map;  where : (N, K, 2) its row and column in the map
    alike : (K, K) correlation of what passes, over all pictures and places; 0 for a dead filter
    """

    mean: np.ndarray
    peak: np.ndarray
    where: np.ndarray
    alike: np.ndarray

    @property
    def dead(self) -> list[int]:
        """Filters whose strength is the same for every picture: they tell nothing."""
        return np.flatnonzero(np.ptp(self.mean, axis=0) == 0).tolist()

    def duplicates(self, limit: float = 0.95) -> list[tuple[int, int]]:
        """Pairs of filters that answer alike everywhere: `alike` of at least `limit`."""
        first, second = np.nonzero(np.triu(self.alike >= limit, k=1))
        return list(zip(first.tolist(), second.tolist(), strict=True))


def survey(network: Network, images: np.ndarray, layer: FilterLayer, *, batch: int = 64) -> Survey:
    """The Survey of `images` (N, 48, 48) uint8."""
    return survey_all(network, images, [layer], batch=batch)[0]


def survey_all(
    network: Network, images: np.ndarray, layers: Sequence[FilterLayer], *, batch: int = 64
) -> list[Survey]:
    """A Survey of each layer, all of them in one pass over the pictures."""
    tallies = [_Tally(layer) for layer in layers]
    places = [(layer.read, layer.side) for layer in layers]
    for start in range(0, len(images), batch):
        inputs = network.prepare(np.ascontiguousarray(images[start : start + batch]))
        with torch.no_grad():
            for tally, maps in zip(tallies, values_at(network, inputs, places), strict=True):
                tally.add(maps)
    return [tally.survey() for tally in tallies]


class _Tally:
    """What a Survey is made of, batch after batch."""

    def __init__(self, layer: FilterLayer) -> None:
        self.layer, self.parts, self.places = layer, [], 0
        self.total = self.products = 0.0

    def add(self, maps: Tensor) -> None:
        peak, at = maps.flatten(2).max(2)
        where = torch.stack([at // maps.shape[3], at % maps.shape[3]], dim=2)
        self.parts.append([strength(maps, self.layer), peak, where])
        passed = (maps.relu() if self.layer.rectified else maps).transpose(0, 1).flatten(1).double()
        self.total = self.total + passed.sum(1)
        self.products = self.products + passed @ passed.T
        self.places += passed.shape[1]

    def survey(self) -> Survey:
        mean, peak, where = (torch.cat(p).cpu().numpy() for p in zip(*self.parts, strict=True))
        centre = self.total / self.places
        spread = (self.products / self.places - torch.outer(centre, centre)).cpu().numpy()
        size = np.sqrt(np.diag(spread).clip(min=0))
        size = np.where(size > 1e-6 * max(float(size.max()), 1e-30), size, 0)
        norm = np.outer(size, size)
        alike = np.divide(spread, norm, out=np.zeros_like(spread), where=norm > 0)
        return Survey(mean, peak, where, alike)


def strength(maps: Tensor, layer: FilterLayer) -> Tensor:
    """(N, K, h, w) responses -> (N, K) mean over the map of what passes the ReLU."""
    return (maps.relu() if layer.rectified else maps).mean((2, 3))


def untrained(network: Network, images: np.ndarray, *, seed: int = 0) -> Network:
    """The same architecture with weights drawn anew, batch norms set to `images` (uint8)."""
    return replace(network, model=redrawn(network, network.prepare(images), seed=seed))


def receptive_fields(network: Network, layer: FilterLayer) -> np.ndarray:
    """(h, w, 4) int: top, bottom, left, right (bottom and right outside) that each unit can see.

    Found by letting NaN into one row, then one column, of the picture: a unit turns NaN exactly
    if that pixel is wired to it, whatever the weights. In float64, where convolution is a plain
    sum: the fast float32 algorithms mix neighbours.
    """
    with untouched(network) as model:
        model = copy.deepcopy(model).cpu().double()
    pictures = torch.zeros(2 * SIZE, network.in_channels, SIZE, SIZE, dtype=torch.float64)
    for i in range(SIZE):
        pictures[i, :, i, :] = math.nan
        pictures[SIZE + i, :, :, i] = math.nan
    with torch.no_grad():
        maps = value_at(model, pictures, layer.read, side=layer.side)
    reached = maps.isnan().any(dim=1).numpy()  # (96, h, w)
    ends = []
    for seen in (reached[:SIZE], reached[SIZE:]):
        ends += [seen.argmax(0), SIZE - seen[::-1].argmax(0)]
    return np.stack(ends, axis=-1)


@dataclass(frozen=True)
class Patch:
    """The part of picture `row` that a filter's strongest unit sees; box as receptive_fields."""

    row: int
    box: tuple[int, int, int, int]
    response: float


def top_patches(
    real: Survey,
    fields: np.ndarray,
    number: int,
    *,
    count: int = 6,
    by: str = "peak",
    group: np.ndarray | None = None,
) -> list[Patch]:
    """The `count` patches that excite filter `number` most, one from each picture.

    by    : pictures ranked by their largest response ("peak") or their strength ("mean"); what is
        cut out is what the strongest unit sees
    group : (N,) duplicate groups; only the first picture of a group is taken
    """
    order = np.argsort(-getattr(real, by)[:, number], kind="stable")
    if group is not None:
        order = order[np.sort(np.unique(group[order], return_index=True)[1])]
    return [
        Patch(int(n), tuple(map(int, fields[tuple(real.where[n, number])])),
              float(real.peak[n, number]))
        for n in order[:count]
    ]  # fmt: skip


def field_size(fields: np.ndarray) -> tuple[int, int]:
    """Height and width, in pixels, of the largest receptive field of a layer."""
    return tuple(int((fields[..., i + 1] - fields[..., i]).max()) for i in (0, 2))


def weighs_light_against_dark(layer: FilterLayer) -> np.ndarray:
    """(K,) bool: the positive and the negative weights of a kernel largely cancel out.

    Largely: |sum of w| is under half of the sum of |w|, so that the filter answers to contrast
    more than to brightness.
    """
    grey = layer.kernels.sum(1).flatten(1)
    return (grey.sum(1).abs() < 0.5 * grey.abs().sum(1)).cpu().numpy()
