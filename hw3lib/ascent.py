"""Activation maximisation: the picture that excites a filter most, by gradient ascent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hw3lib.activation import FilterLayer, Survey
from hw3lib.data.faces import SIZE
from hw3lib.models.network import Network
from hw3lib.probing import value_at
from hw3lib.training.augment import warp


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
    seeds: Sequence[int] | None = None,
    every: int = 4,
) -> Ascent:
    """Gradient ascent on the picture, all `filters` side by side in one batch.

    The picture is a spectrum whose low frequencies move fastest (Olah et al. 2017, Feature
    Visualization, doi:10.23915/distill.00007), seen at every step through another small shift,
    rotation and zoom, and with the `contrast` of a real face: a deviation from middle grey of so
    much root mean square, in pixels from 0 to 1. `smooth` weighs the total variation against the
    strength. A start depends on the filter's number and on `seed`, or its own of `seeds`, alone.
    """
    spectrum = (
        _spectra(filters, seeds or [seed] * len(filters)).to(network.device).requires_grad_(True)
    )
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


def maximise_seeds(
    network: Network,
    layer: FilterLayer,
    filters: Sequence[int],
    *,
    seeds: Sequence[int] = (0, 1, 2),
    **options,
) -> list[Ascent]:
    """An Ascent for each seed, all of them in one batch; `options` as of maximise."""
    count = len(filters)
    every = maximise(
        network,
        layer,
        [f for _ in seeds for f in filters],
        seed=seeds[0],
        seeds=[s for s in seeds for _ in filters],
        **options,
    )
    parts = [slice(i * count, (i + 1) * count) for i in range(len(seeds))]
    return [Ascent(list(filters), every.pictures[p], every.steps, every.best[p]) for p in parts]


def best_of(ascents: Sequence[Ascent]) -> Ascent:
    """For each filter the seed that reached most."""
    which = np.argmax([a.reached for a in ascents], axis=0)
    at = np.arange(len(which))
    return Ascent(
        ascents[0].filters,
        np.stack([a.pictures for a in ascents])[which, at],
        ascents[0].steps,
        np.stack([a.best for a in ascents])[which, at],
    )


def agreement(ascents: Sequence[Ascent]) -> np.ndarray:
    """(F,) what the worst seed reached over what the best did; NaN where none rose above 0."""
    reached = np.stack([a.reached for a in ascents])
    low, high = reached.min(0), reached.max(0)
    return np.divide(low, high, out=np.full(len(high), np.nan), where=high > 0)


def _spectra(filters: Sequence[int], seeds: Sequence[int]) -> Tensor:
    """(F, 48, 25, 2) start of each filter, drawn from its seed and its number alone."""
    shape = (SIZE, SIZE // 2 + 1, 2)
    return torch.stack(
        [
            torch.randn(shape, generator=torch.Generator().manual_seed(s * 100_003 + int(f)))
            for f, s in zip(filters, seeds, strict=True)
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


def gain_over_real(ascent: Ascent, real: Survey) -> np.ndarray:
    """(F,) strength of the found picture over that of the best real one; NaN for a dead filter."""
    top = real.mean[:, ascent.filters].max(0)
    return np.divide(ascent.reached, top, out=np.full(len(top), np.nan), where=top > 0)


def recognised(network: Network, ascent: Ascent, profile: np.ndarray) -> int:
    """How many of the found pictures the network calls by the class that their filter prefers.

    profile : (K, 7) of activation.class_profile
    """
    inputs = ((torch.as_tensor(ascent.pictures) - network.mean) / network.std)[:, None]
    inputs = inputs.expand(-1, network.in_channels, -1, -1).to(network.device)
    with torch.inference_mode():
        called = network.model(inputs).argmax(1).cpu().numpy()
    return int((called == np.nanargmax(profile[ascent.filters], axis=1)).sum())
