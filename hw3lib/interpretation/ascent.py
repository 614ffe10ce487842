"""Activation maximisation: the image that excites a filter most, by gradient ascent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hw3lib.data.faces import SIZE
from hw3lib.interpretation.attribution import features
from hw3lib.interpretation.filters import FilterLayer, Survey
from hw3lib.models.network import Network
from hw3lib.training.augment import warp


@dataclass(frozen=True)
class Ascent:
    """Images that excite filters, found by gradient ascent.

    images : (F, 48, 48) float32 in [0, 1], the best of each filter's path
    steps  : (S,) steps after which the image itself, unshifted, was measured
    best   : (F, S) highest strength so far
    """

    filters: list[int]
    images: np.ndarray
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
    seeds: Sequence[int] = (0,),
    steps: int = 64,
    rate: float = 0.15,
    momentum: float = 0.8,
    contrast: float = 0.25,
    shift: float = 3.0,
    rotate: float = 8.0,
    scale: float = 0.08,
    smooth: float = 0.2,
    every: int = 4,
) -> list[Ascent]:
    """Gradient ascent on the image, an Ascent for each of `seeds`, all of them in one batch.

    The image is a spectrum whose low frequencies move fastest (Olah et al. 2017, Feature
    Visualization, doi:10.23915/distill.00007), seen at every step through another small shift,
    rotation and zoom, and with the `contrast` of a real face: a deviation from middle grey of so
    much root mean square, in pixels from 0 to 1. `smooth` weighs the total variation against the
    strength. A start depends on the filter's number and the seed alone.
    """
    starts = [(f, s) for s in seeds for f in filters]
    spectrum = _spectra(starts).to(network.device).requires_grad_(True)
    strength = _strength_of(network, layer, [f for f, _ in starts])
    gain, speed = _gain(network.device), torch.zeros_like(spectrum)
    generator = torch.Generator(network.device).manual_seed(seeds[0])
    best = torch.full((len(starts),), -torch.inf, device=network.device)
    kept, history, measured = torch.zeros(()), [], []
    for step in range(steps + 1):
        images = _image(spectrum, gain, contrast)
        if step % every == 0 or step == steps:
            with torch.no_grad():
                value = strength(images)
            kept = torch.where((value > best)[:, None, None], images.detach(), kept)
            best = torch.maximum(best, value)
            history.append(best)
            measured.append(step)
        if step == steps:
            break
        ease = min(1.0, 3 * (1 - step / steps))  # the last third narrows down on details
        span = {"shift": ease * shift, "rotate": ease * rotate, "scale": ease * scale}
        value = strength(warp(images[None], generator=generator, **span)[0], leak=0.05)
        rough = _variation(images)
        size = value.detach().abs().clamp(min=1e-6)  # every filter climbs at its own scale
        loss = (-value / size + smooth * rough / rough.detach().clamp(min=1e-6)).sum()
        (slope,) = torch.autograd.grad(loss, spectrum)
        with torch.no_grad():
            speed = momentum * speed - (1 - momentum) * slope / _norm(slope)
            spectrum += ease * rate * _norm(spectrum) * speed
    shape = (len(seeds), len(filters))
    found = kept.reshape(*shape, SIZE, SIZE).cpu().numpy()
    curves = torch.stack(history, dim=1).reshape(*shape, -1).cpu().numpy()
    at = np.array(measured)
    return [Ascent(list(filters), i, at, b) for i, b in zip(found, curves, strict=True)]


def best_of(ascents: Sequence[Ascent]) -> Ascent:
    """For each filter the seed that reached most."""
    which = np.argmax([a.reached for a in ascents], axis=0)
    at = np.arange(len(which))
    images, best = (
        np.stack([getattr(a, n) for a in ascents])[which, at] for n in ("images", "best")
    )
    return Ascent(ascents[0].filters, images, ascents[0].steps, best)


def agreement(ascents: Sequence[Ascent]) -> np.ndarray:
    """(F,) what the worst seed reached over what the best did; NaN where none rose above 0."""
    reached = np.stack([a.reached for a in ascents])
    return _ratio(reached.min(0), reached.max(0))


def gain_over_real(ascent: Ascent, real: Survey) -> np.ndarray:
    """(F,) strength of the found image over that of the best real one; NaN for a dead filter."""
    return _ratio(ascent.reached, real.mean[:, ascent.filters].max(0))


def recognised(network: Network, ascent: Ascent, profile: np.ndarray) -> int:
    """How many of the found images the network calls by the class that their filter prefers.

    profile : (K, 7) of filters.class_profile
    """
    with torch.inference_mode():
        called = network.model(_inputs(network, torch.as_tensor(ascent.images))).argmax(1)
    return int((called.cpu().numpy() == np.nanargmax(profile[ascent.filters], axis=1)).sum())


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)


def _inputs(network: Network, images: Tensor) -> Tensor:
    """(F, 48, 48) in [0, 1] -> (F, in_channels, 48, 48) as the network takes them."""
    inputs = ((images.to(network.device) - network.mean) / network.std)[:, None]
    return inputs.expand(-1, network.in_channels, -1, -1)


def _spectra(starts: Sequence[tuple[int, int]]) -> Tensor:
    """(F, 48, 25, 2) start of each (filter, seed), drawn from these alone."""
    draws = [torch.Generator().manual_seed(s * 100_003 + int(f)) for f, s in starts]
    return torch.stack([torch.randn((SIZE, SIZE // 2 + 1, 2), generator=g) for g in draws])


def _gain(device: torch.device) -> Tensor:
    """(48, 25): one over the frequency, in cycles a pixel, the lowest ones held."""
    y, x = torch.fft.fftfreq(SIZE)[:, None], torch.fft.rfftfreq(SIZE)[None]
    return (1 / torch.sqrt(x**2 + y**2).clamp(min=1 / SIZE)).to(device)


def _image(spectrum: Tensor, gain: Tensor, contrast: float) -> Tensor:
    """(F, 48, 25, 2) -> (F, 48, 48) in (0, 1) with the given deviation from middle grey."""
    wave = torch.fft.irfft2(torch.view_as_complex(spectrum) * gain, s=(SIZE, SIZE))
    wave = wave * (contrast / wave.square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-12))
    return 0.5 + 0.5 * torch.tanh(2 * wave)


def _strength_of(network: Network, layer: FilterLayer, filters: Sequence[int]) -> Callable:
    """(F, 48, 48) in [0, 1] -> (F,) strength of filters[i] on image i.

    leak : slope below zero, so that a silent filter still shows the way up
    """
    model, index = features(network, [layer.read]), torch.as_tensor(filters, device=network.device)
    at = torch.arange(len(index), device=index.device)

    def strength(images: Tensor, *, leak: float = 0.0) -> Tensor:
        maps = model(_inputs(network, images))[layer.read][at, index]
        return (F.leaky_relu(maps, leak) if layer.relu else maps).mean((1, 2))

    return strength


def _norm(spectrum: Tensor) -> Tensor:
    """(F, ...) -> (F, 1, 1, 1) length, never 0."""
    return spectrum.square().sum((1, 2, 3), keepdim=True).sqrt().clamp(min=1e-20)


def _variation(images: Tensor) -> Tensor:
    return images.diff(dim=1).abs().mean((1, 2)) + images.diff(dim=2).abs().mean((1, 2))
