"""Batch augmentation on the device where the pictures live: a few lines each, seeded, no loop.

Every function takes a batch (B, C, H, W) float and a torch.Generator on the same device and
returns a batch of the same shape; each picture draws its own random numbers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from hw3lib.recipe import Recipe


def uniform(n: int, limit: float, like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(n,) float, uniform in [-limit, limit]."""
    return (torch.rand(n, device=like.device, generator=generator) * 2 - 1) * limit


def flip_half(batch: torch.Tensor, axis: str, generator: torch.Generator) -> torch.Tensor:
    """Each picture is mirrored with probability 1/2: left-right ("horizontal") or up-down."""
    chosen = torch.rand(len(batch), device=batch.device, generator=generator) < 0.5
    return torch.where(
        chosen[:, None, None, None], batch.flip(-1 if axis == "horizontal" else -2), batch
    )


def warp(
    batch: torch.Tensor, *, shift: float, rotate: float, scale: float, generator: torch.Generator
) -> torch.Tensor:
    """Shift by up to `shift` pixels, rotate by up to `rotate` degrees, zoom by up to 1 +- `scale`.

    One bilinear resampling for all three; beyond the border the edge pixels are repeated, so
    that no black corner tells the network the angle.
    """
    B, _, H, W = batch.shape
    angle = uniform(B, math.radians(rotate), batch, generator)
    zoom = 1 + uniform(B, scale, batch, generator)
    # affine_grid maps output to input in coordinates of [-1, 1]: two units for W pixels
    dx = uniform(B, 2 * shift / W, batch, generator)
    dy = uniform(B, 2 * shift / H, batch, generator)
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    theta = torch.stack([cos, -sin, dx, sin, cos, dy], dim=1).view(B, 2, 3)
    grid = F.affine_grid(theta.to(batch.dtype), list(batch.shape), align_corners=False)
    return F.grid_sample(batch, grid, padding_mode="border", align_corners=False)


def erase(batch: torch.Tensor, probability: float, generator: torch.Generator) -> torch.Tensor:
    """With `probability` a rectangle of 2-20 % of the picture is set to 0, the mean grey.

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


def mix_pairs(
    batch: torch.Tensor, alpha: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """mixup, Zhang et al. 2017 (arXiv:1710.09412): each picture blended with another one.

    Returns the blended batch, the partner's index (B,) int64 and the share kept of the picture
    itself (B,) float, drawn from Beta(alpha, alpha) as a ratio of two Gamma draws.
    """
    B = len(batch)
    partner = torch.randperm(B, device=batch.device, generator=generator)
    concentration = torch.full((B, 2), float(alpha), device=batch.device)
    gamma = torch._standard_gamma(concentration, generator=generator).clamp_min(1e-12)
    kept = gamma[:, 0] / gamma.sum(dim=1)
    share = kept[:, None, None, None].to(batch.dtype)
    return share * batch + (1 - share) * batch[partner], partner, kept


def augment(batch: torch.Tensor, recipe: Recipe, generator: torch.Generator) -> torch.Tensor:
    """Apply the Recipe's flip, warp and erasing, in that order; mixup is the loss's business."""
    if recipe.flip != "none":
        batch = flip_half(batch, recipe.flip, generator)
    if recipe.shift or recipe.rotate or recipe.scale:
        batch = warp(
            batch,
            shift=recipe.shift,
            rotate=recipe.rotate,
            scale=recipe.scale,
            generator=generator,
        )
    if recipe.erase:
        batch = erase(batch, recipe.erase, generator)
    return batch
