"""What a filter answers to: kernels, responses, gradient ascent, the patches that excite it most."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hw3lib import UserError
from hw3lib.augment import warp
from hw3lib.data.faces import CLASSES, SIZE
from hw3lib.inference import Network
from hw3lib.probing import layers, redrawn, untouched, value_at


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
    """

    mean: np.ndarray
    peak: np.ndarray
    where: np.ndarray

    @property
    def dead(self) -> list[int]:
        """Filters whose strength is the same for every picture: they tell nothing."""
        return np.flatnonzero(np.ptp(self.mean, axis=0) == 0).tolist()


def survey(network: Network, images: np.ndarray, layer: FilterLayer, *, batch: int = 128) -> Survey:
    """The Survey of `images` (N, 48, 48) uint8."""
    parts = []
    for start in range(0, len(images), batch):
        inputs = network.prepare(np.ascontiguousarray(images[start : start + batch]))
        with torch.no_grad():
            maps = value_at(network, inputs, layer.read, side=layer.side)
        peak, at = maps.flatten(2).max(2)
        where = torch.stack([at // maps.shape[3], at % maps.shape[3]], dim=2)
        parts.append([strength(maps, layer), peak, where])
    mean, peak, where = (torch.cat(p).cpu().numpy() for p in zip(*parts, strict=True))
    return Survey(mean, peak, where)


def strength(maps: Tensor, layer: FilterLayer) -> Tensor:
    """(N, K, h, w) responses -> (N, K) mean over the map of what passes the ReLU."""
    return (maps.relu() if layer.rectified else maps).mean((2, 3))


def class_profile(mean: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N, K) strengths -> (K, 7) mean of each class, in standard deviations from the filter's mean.

    A dead filter has a row of zeros, a class without pictures a column of NaN.
    """
    spread = mean.std(0)
    scores = np.divide(mean - mean.mean(0), spread, out=np.zeros_like(mean), where=spread > 0)
    profile = np.full((mean.shape[1], len(CLASSES)), np.nan)
    for c in np.unique(labels):
        profile[:, c] = scores[labels == c].mean(0)
    return profile


def selectivity(mean: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N, K) -> (K,) share of a filter's variance that lies between the classes, 0 to 1.

    Omega squared: eta squared less what chance alone would give, so 0 means no selectivity
    (slightly negative values are chance) however many pictures there are. A dead filter gives 0.
    """
    total = ((mean - mean.mean(0)) ** 2).sum(0)
    groups = [mean[labels == c] for c in np.unique(labels)]
    within = sum(((g - g.mean(0)) ** 2).sum(0) for g in groups)
    noise = within / max(1, len(mean) - len(groups))
    top = total - within - (len(groups) - 1) * noise
    return np.divide(top, total + noise, out=np.zeros_like(total), where=total > 0)


def most_selective(profile: np.ndarray) -> list[int]:
    """(K, 7) profile -> a filter for each class: the assignment with the highest sum.

    No filter serves twice; with fewer filters than classes, only the classes that gain most.
    """
    from scipy.optimize import linear_sum_assignment

    classes, filters = linear_sum_assignment(-np.nan_to_num(profile.T))
    return filters[np.argsort(classes)].tolist()


@dataclass(frozen=True)
class Ascent:
    """Pictures that excite filters, found by gradient ascent.

    pictures : (F, 48, 48) float32 in [0, 1], the best of each filter's path
    steps    : (S,) steps after which the picture itself, unshifted, was measured
    best     : (F, S) highest strength so far
    """

    filters: list[int]
    pictures: np.ndarray
    steps: np.ndarray
    best: np.ndarray

    @property
    def reached(self) -> np.ndarray:
        """(F,) highest strength."""
        return self.best[:, -1]


def maximise(
    network: Network,
    layer: FilterLayer,
    filters: Sequence[int],
    *,
    steps: int = 64,
    rate: float = 0.15,
    momentum: float = 0.8,
    contrast: float = 0.25,
    shift: float = 3.0,
    rotate: float = 8.0,
    scale: float = 0.08,
    smooth: float = 0.2,
    seed: int = 0,
    every: int = 4,
) -> Ascent:
    """Gradient ascent on the picture, all `filters` side by side in one batch.

    The picture is a spectrum whose low frequencies move fastest (Olah et al. 2017, Feature
    Visualization, doi:10.23915/distill.00007), seen at every step through another small shift,
    rotation and zoom, and with the `contrast` of a real face: a deviation from middle grey of so
    much root mean square, in pixels from 0 to 1. `smooth` weighs the total variation against the
    strength. A start depends on `seed` and the filter's number alone.
    """
    spectrum = _spectra(filters, seed).to(network.device).requires_grad_(True)
    gain = _gain(network.device)
    speed = torch.zeros_like(spectrum)
    generator = torch.Generator(network.device).manual_seed(seed)
    index = torch.as_tensor(filters, device=network.device)
    best = torch.full((len(filters),), -math.inf, device=network.device)
    kept, history, measured = None, [], []
    for step in range(steps + 1):
        pictures = _picture(spectrum, gain, contrast)
        if step % every == 0 or step == steps:
            with torch.no_grad():
                value = _strength_of(network, layer, pictures, index)
            kept = pictures.detach() if kept is None else kept
            kept = torch.where((value > best)[:, None, None], pictures.detach(), kept)
            best = torch.maximum(best, value)
            history.append(best.clone())
            measured.append(step)
        if step == steps:
            break
        ease = min(1.0, 3 * (1 - step / steps))  # the last third narrows down on details
        moved = warp(
            pictures[None],
            shift=ease * shift,
            rotate=ease * rotate,
            scale=ease * scale,
            generator=generator,
        )
        value = _strength_of(network, layer, moved[0], index, leak=0.05)
        rough = _variation(pictures)
        size = value.detach().abs().clamp(min=1e-6)  # every filter climbs at its own scale
        loss = (-value / size + smooth * rough / rough.detach().clamp(min=1e-6)).sum()
        (slope,) = torch.autograd.grad(loss, spectrum)
        with torch.no_grad():
            speed = momentum * speed - (1 - momentum) * slope / _norm(slope)
            spectrum += ease * rate * _norm(spectrum) * speed
    return Ascent(
        list(filters),
        kept.cpu().numpy(),
        np.array(measured),
        torch.stack(history, dim=1).cpu().numpy(),
    )


def _spectra(filters: Sequence[int], seed: int) -> Tensor:
    """(F, 48, 25, 2) start of each filter, drawn from `seed` and its number alone."""
    shape = (SIZE, SIZE // 2 + 1, 2)
    return torch.stack(
        [
            torch.randn(shape, generator=torch.Generator().manual_seed(seed * 100_003 + f))
            for f in map(int, filters)
        ]
    )


def _gain(device: torch.device) -> Tensor:
    """(48, 25): one over the frequency, in cycles a pixel, the lowest ones held."""
    y, x = torch.fft.fftfreq(SIZE)[:, None], torch.fft.rfftfreq(SIZE)[None]
    return (1 / torch.sqrt(x**2 + y**2).clamp(min=1 / SIZE)).to(device)


def _picture(spectrum: Tensor, gain: Tensor, contrast: float) -> Tensor:
    """(F, 48, 25, 2) -> (F, 48, 48) in (0, 1) with the given deviation from middle grey."""
    wave = torch.fft.irfft2(torch.view_as_complex(spectrum) * gain, s=(SIZE, SIZE))
    wave = wave * (contrast / wave.square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-12))
    return 0.5 + 0.5 * torch.tanh(2 * wave)


def _strength_of(
    network: Network, layer: FilterLayer, pictures: Tensor, index: Tensor, *, leak: float = 0.0
) -> Tensor:
    """(F, 48, 48) in [0, 1] -> (F,) strength of filter index[i] on picture i.

    leak : slope below zero, so that a silent filter still shows the way up
    """
    inputs = ((pictures - network.mean) / network.std)[:, None]
    inputs = inputs.expand(-1, network.in_channels, -1, -1)
    maps = value_at(network, inputs, layer.read, side=layer.side)
    maps = maps[torch.arange(len(index), device=index.device), index]
    return (F.leaky_relu(maps, leak) if layer.rectified else maps).mean((1, 2))


def _norm(spectrum: Tensor) -> Tensor:
    """(F, ...) -> (F, 1, 1, 1) length, never 0."""
    return spectrum.square().sum((1, 2, 3), keepdim=True).sqrt().clamp(min=1e-20)


def _variation(pictures: Tensor) -> Tensor:
    return pictures.diff(dim=1).abs().mean((1, 2)) + pictures.diff(dim=2).abs().mean((1, 2))


def untrained(network: Network, images: np.ndarray, *, seed: int = 0) -> Network:
    """The same architecture with weights drawn anew, batch norms set to `images` (uint8)."""
    return replace(network, model=redrawn(network, network.prepare(images), seed=seed))


def gain_over_real(ascent: Ascent, real: Survey) -> np.ndarray:
    """(F,) strength of the found picture over that of the best real one; NaN for a dead filter."""
    top = real.mean[:, ascent.filters].max(0)
    return np.divide(ascent.reached, top, out=np.full(len(top), np.nan), where=top > 0)


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
    group: np.ndarray | None = None,
) -> list[Patch]:
    """The `count` patches that excite filter `number` most, one from each picture.

    group : (N,) duplicate groups; only the first picture of a group is taken
    """
    order = np.argsort(-real.peak[:, number], kind="stable")
    if group is not None:
        order = order[np.sort(np.unique(group[order], return_index=True)[1])]
    return [
        Patch(int(n), tuple(map(int, fields[tuple(real.where[n, number])])),
              float(real.peak[n, number]))
        for n in order[:count]
    ]  # fmt: skip
