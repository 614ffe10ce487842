"""Batch augmentation on the device where the images live: a few lines each, seeded, no loop.

Every function takes a batch (B, C, H, W) float and a torch.Generator on the same device and
returns a batch of the same shape; each image draws its own random numbers.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

from hw3lib.training.recipe import Recipe


def uniform(n: int, limit: float, like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(n,) float, uniform in [-limit, limit]."""
    return (torch.rand(n, device=like.device, generator=generator) * 2 - 1) * limit


def mirror(batch: torch.Tensor, chosen: torch.Tensor, axis: str) -> torch.Tensor:
    """The images `chosen` (B,) bool mirrored left-right ("horizontal") or up-down."""
    mirrored = batch.flip(-2 if axis == "vertical" else -1)
    return torch.where(chosen[:, None, None, None], mirrored, batch)


def warp(
    batch: torch.Tensor,
    *,
    shift: float,
    rotate: float,
    scale: float,
    generator: torch.Generator,
    mirrored: torch.Tensor | None = None,
    axis: str = "horizontal",
) -> torch.Tensor:
    """Shift by up to `shift` pixels, rotate by up to `rotate` degrees, zoom by up to 1 +- `scale`.

    mirrored, axis : whom to mirror as well, as for `mirror`, at no further cost

    One bilinear resampling for all of it; beyond the border the edge pixels are repeated, so
    that no black corner tells the network the angle.
    """
    B, _, H, W = batch.shape
    angle = uniform(B, math.radians(rotate), batch, generator)
    zoom = 1 + uniform(B, scale, batch, generator)
    # the grid maps output to input in coordinates of [-1, 1]: two units for W pixels
    dx = uniform(B, 2 * shift / W, batch, generator)
    dy = uniform(B, 2 * shift / H, batch, generator)
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    theta = torch.stack([cos, -sin, dx, sin, cos, dy], dim=1).view(B, 2, 3)
    if mirrored is not None:  # the output's own coordinate changes its sign
        theta[:, :, 1 if axis == "vertical" else 0] *= torch.where(mirrored, -1.0, 1.0)[:, None]
    grid = affine_grid(theta.to(batch.dtype), H, W)
    return F.grid_sample(batch, grid, padding_mode="border", align_corners=False)


def affine_grid(theta: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(B, 2, 3) -> (B, H, W, 2), as F.affine_grid with align_corners=False.

    One matrix product for the whole batch, where torch makes one for each image: twice as
    fast on a CPU.
    """
    x, y = (
        torch.linspace(1 / n - 1, 1 - 1 / n, n, device=theta.device, dtype=theta.dtype)
        for n in (width, height)
    )
    columns, rows = x.expand(height, width), y[:, None].expand(height, width)
    pixels = torch.stack([columns, rows, torch.ones_like(columns)], dim=-1).view(-1, 3)
    return (pixels @ theta.mT).view(-1, height, width, 2)


def erase(batch: torch.Tensor, probability: float, generator: torch.Generator) -> torch.Tensor:
    """With `probability` a rectangle of 2-20 % of the image is set to 0, the mean grey.

    Random erasing, Zhong et al. 2017 (arXiv:1708.04896), with a constant fill.
    """
    B, _, H, W = batch.shape
    r = torch.rand(B, 5, device=batch.device, generator=generator)
    area, ratio = 0.02 + 0.18 * r[:, 0], torch.exp((r[:, 1] * 2 - 1) * math.log(3.0))
    h, w = torch.sqrt(area * ratio).clamp(max=1) * H, torch.sqrt(area / ratio).clamp(max=1) * W
    top, left = r[:, 2] * (H - h), r[:, 3] * (W - w)
    y, x = torch.arange(H, device=batch.device), torch.arange(W, device=batch.device)
    rows = (y >= top[:, None]) & (y < (top + h)[:, None])
    columns = (x >= left[:, None]) & (x < (left + w)[:, None])
    hole = rows[:, :, None] & columns[:, None, :] & (r[:, 4] < probability)[:, None, None]
    return batch.masked_fill(hole[:, None], 0.0)


def adjust(
    batch: torch.Tensor, brightness: float, contrast: float, generator: torch.Generator
) -> torch.Tensor:
    """Multiply by 1 +- `contrast` and add +- `brightness`, in deviations of the grey values."""
    factor = 1 + uniform(len(batch), contrast, batch, generator)
    offset = uniform(len(batch), brightness, batch, generator)
    return batch * factor[:, None, None, None] + offset[:, None, None, None]


def mix_pairs(
    batch: torch.Tensor, kept: torch.Tensor, recipe: Recipe, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Each image joined with another one, by mixup or CutMix as the Recipe says.

    kept : (B,) share of each image itself

    mixup, Zhang et al. 2017 (arXiv:1710.09412), is the weighted mean of two images. CutMix, Yun
    et al. 2019 (arXiv:1905.04899), pastes a rectangle of the other one: its area is the share not
    kept; what falls over the border is lost, and `kept` follows.

    Returns the joined batch, the partner's index (B,) int64 and the share that was kept (B,).
    """
    B, _, H, W = batch.shape
    partner = torch.randperm(B, device=batch.device, generator=generator)
    other = batch[partner]
    if recipe.mixup:
        share = kept[:, None, None, None].to(batch.dtype)
        return share * batch + (1 - share) * other, partner, kept
    centre = torch.rand(B, 2, device=batch.device, generator=generator)
    side = torch.sqrt(1 - kept) / 2
    rows, columns = _within(centre[:, 0], side, H), _within(centre[:, 1], side, W)
    hole = rows[:, :, None] & columns[:, None, :]
    mixed = torch.where(hole[:, None], other, batch)
    return mixed, partner, 1 - hole.float().mean(dim=(1, 2))


def _within(centre: torch.Tensor, side: torch.Tensor, n: int) -> torch.Tensor:
    """(B, n) bool: pixels nearer to `centre` than `side`, both as shares of the n pixels."""
    pixel = (torch.arange(n, device=centre.device) + 0.5) / n
    return (pixel - centre[:, None]).abs() < side[:, None]


def shares(recipe: Recipe, epoch: int, labels: torch.Tensor) -> torch.Tensor:
    """(N,) float: how much is kept of each image of an epoch, from Beta(alpha, alpha).

    All at once and by NumPy: torch draws no Beta from a generator of one's own, and a draw in
    every step would make a GPU wait.
    """
    alpha, rng = recipe.mixup or recipe.cutmix, np.random.default_rng([recipe.seed, epoch])
    drawn = rng.beta(alpha, alpha, len(labels)).astype(np.float32)
    return torch.from_numpy(drawn).to(labels.device, non_blocking=True)


def augment(
    batch: torch.Tensor,
    recipe: Recipe,
    generator: torch.Generator,
    mirrored: torch.Tensor | None = None,
) -> torch.Tensor:
    """Apply the Recipe's flip, warp, grey values and erasing, in that order.

    mirrored : (B,) bool, whose turn it is where the Recipe's flip is "alternating"; for the
               other flips each image is mirrored with probability 1/2

    mixup and CutMix need the labels too, and are the loss's business.
    """
    if recipe.flip in ("horizontal", "vertical"):
        mirrored = torch.rand(len(batch), device=batch.device, generator=generator) < 0.5
    if recipe.shift or recipe.rotate or recipe.scale:
        limits = {name: getattr(recipe, name) for name in ("shift", "rotate", "scale")}
        batch = warp(batch, **limits, generator=generator, mirrored=mirrored, axis=recipe.flip)
    elif mirrored is not None:
        batch = mirror(batch, mirrored, recipe.flip)
    if recipe.brightness or recipe.contrast:
        batch = adjust(batch, recipe.brightness, recipe.contrast, generator)
    if recipe.erase:
        batch = erase(batch, recipe.erase, generator)
    return batch


def alternating_flips(recipe: Recipe, epoch: int, like: torch.Tensor) -> torch.Tensor | None:
    """(N,) bool: which of N images are mirrored in this epoch, None unless "alternating".

    Every image is seen from one side in one epoch and from the other in the next, so that two
    epochs show each of them both ways; Jordan 2024 (arXiv:2404.00498).
    """
    if recipe.flip != "alternating":
        return None
    draw = torch.Generator(like.device).manual_seed(recipe.seed)
    first = torch.rand(len(like), device=like.device, generator=draw) < 0.5
    return first ^ bool(epoch % 2)
