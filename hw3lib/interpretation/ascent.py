"""Activation maximisation: the image that activates a filter most, by gradient ascent."""

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

RATE = 0.2  # of Adam; the spectrum starts with a deviation of 1
CONTRAST = 0.25  # root mean square deviation from middle grey, about that of FER's faces
LEAK = 0.05  # slope below zero while climbing, so that a silent filter still shows the way up


@dataclass(frozen=True)
class Ascent:
    """Images that activate filters, found by gradient ascent.

    images : (F, 48, 48) float32 in [0, 1];  reached : (F,) their strength
    """

    filters: list[int]
    images: np.ndarray
    reached: np.ndarray


def maximise(
    network: Network,
    layer: FilterLayer,
    filters: Sequence[int],
    *,
    seeds: Sequence[int] = (0,),
    steps: int = 64,
    shift: float = 3.0,
    rotate: float = 8.0,
    scale: float = 0.08,
) -> list[Ascent]:
    """Gradient ascent on the image, an Ascent for each of `seeds`, all of them in one batch.

    The image is a spectrum whose low frequencies move fastest (Olah et al. 2017, Feature
    Visualization, doi:10.23915/distill.00007), with the contrast of a face, and seen at every step
    through another small shift (pixels), rotation (degrees) and zoom.
    """
    starts = [(f, s) for s in seeds for f in filters]
    strength = strength_of(network, layer, [f for f, _ in starts])
    spectrum = spectra(starts).to(network.device).requires_grad_(True)
    climber = torch.optim.Adam([spectrum], lr=RATE)
    generator = torch.Generator(network.device).manual_seed(seeds[0])
    span = {"shift": shift, "rotate": rotate, "scale": scale}
    for _ in range(steps):
        climber.zero_grad()
        seen = picture(spectrum)
        if any(span.values()):
            seen = warp(seen[:, None], **span, generator=generator)[:, 0]
        (-strength(seen, leak=LEAK)).sum().backward()
        climber.step()
    with torch.no_grad():
        images = picture(spectrum)
        reached = strength(images).reshape(len(seeds), -1).cpu().numpy()
    found = images.reshape(len(seeds), len(filters), SIZE, SIZE).cpu().numpy()
    return [Ascent(list(filters), i, r) for i, r in zip(found, reached, strict=True)]


def strength_of(network: Network, layer: FilterLayer, filters: Sequence[int]) -> Callable:
    """(F, 48, 48) in [0, 1] -> (F,) strength of filters[i] for image i, a function with gradients.

    leak : slope below zero
    """
    model, index = features(network, [layer.read]), torch.as_tensor(filters, device=network.device)
    at = torch.arange(len(index), device=index.device)

    def strength(images: Tensor, *, leak: float = 0.0) -> Tensor:
        maps = model(_inputs(network, images))[layer.read][at, index]
        return (F.leaky_relu(maps, leak) if layer.relu else maps).mean((1, 2))

    return strength


def spectra(starts: Sequence[tuple[int, int]]) -> Tensor:
    """(F, 48, 25, 2) start of each (filter, seed), drawn from these alone."""
    draws = [torch.Generator().manual_seed(s * 100_003 + int(f)) for f, s in starts]
    return torch.stack([torch.randn((SIZE, SIZE // 2 + 1, 2), generator=g) for g in draws])


def picture(spectrum: Tensor) -> Tensor:
    """(F, 48, 25, 2) spectra, whitened by 1 / frequency -> (F, 48, 48) in (0, 1), mean contrast."""
    y, x = torch.fft.fftfreq(SIZE)[:, None], torch.fft.rfftfreq(SIZE)[None]
    gain = (1 / torch.hypot(x, y).clamp(min=1 / SIZE)).to(spectrum.device)
    wave = torch.fft.irfft2(torch.view_as_complex(spectrum) * gain, s=(SIZE, SIZE))
    wave = wave * (CONTRAST / wave.square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-12))
    return 0.5 + 0.5 * torch.tanh(2 * wave)


def best_of(ascents: Sequence[Ascent]) -> Ascent:
    """For each filter the seed that reached most."""
    reached = np.stack([a.reached for a in ascents])
    images = np.stack([a.images for a in ascents])[reached.argmax(0), np.arange(reached.shape[1])]
    return Ascent(ascents[0].filters, images, reached.max(0))


def gain_over_real(ascent: Ascent, real: Survey) -> np.ndarray:
    """(F,) strength of the found image over that of the best real one; NaN for a dead filter."""
    top, best = ascent.reached, real.mean[:, ascent.filters].max(0)
    return np.divide(top, best, out=np.full(len(top), np.nan), where=best > 0)


def recognised(network: Network, ascent: Ascent, profile: np.ndarray) -> int:
    """How many of the found images the network calls by the class that their filter prefers.

    profile : (K, 7) of filters.class_profile
    """
    with torch.inference_mode():
        called = network.model(_inputs(network, torch.as_tensor(ascent.images))).argmax(1)
    return int((called.cpu().numpy() == np.nanargmax(profile[ascent.filters], axis=1)).sum())


def _inputs(network: Network, images: Tensor) -> Tensor:
    """(F, 48, 48) in [0, 1] -> (F, in_channels, 48, 48) as the network takes them."""
    inputs = ((images.to(network.device) - network.mean) / network.std)[:, None]
    return inputs.expand(-1, network.in_channels, -1, -1)
