import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import affine

from hw3lib.training.augment import adjust, affine_grid, augment, erase, mirror, warp
from hw3lib.training.recipe import Recipe


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def batch() -> torch.Tensor:
    return torch.rand(64, 1, 48, 48, generator=generator(9))


@pytest.mark.parametrize(("axis", "dim"), [("horizontal", -1), ("vertical", -2)])
@pytest.mark.parametrize("shift", [0, 1e-6])
def test_flip_mirrors_about_half(batch, axis, dim, shift):
    """Alone, or in one resampling with a warp."""
    out = augment(batch, Recipe(model="x", flip=axis, shift=shift), generator())
    pairs = list(zip(out, batch, strict=True))
    mirrored = [torch.allclose(o, b.flip(dim), atol=1e-4) for o, b in pairs]
    same = [torch.allclose(o, b, atol=1e-4) for o, b in pairs]
    assert all(m ^ s for m, s in zip(mirrored, same, strict=True)) and 16 < sum(mirrored) < 48


def test_a_warp_that_mirrors_is_the_mirror_of_the_warp(batch):
    chosen = torch.arange(len(batch)) % 3 == 0
    settings = {"shift": 4, "rotate": 20, "scale": 0.2}
    for axis in ("horizontal", "vertical"):
        plain = warp(batch, **settings, generator=generator())
        both = warp(batch, **settings, generator=generator(), mirrored=chosen, axis=axis)
        assert torch.allclose(both, mirror(plain, chosen, axis), atol=1e-4)


def test_warp_agrees_with_torchvision_inside_the_picture():
    face = torch.rand(1, 1, 12, 12, generator=generator(3))
    smooth = torch.nn.functional.interpolate(face, size=48, mode="bicubic", align_corners=False)
    out = warp(smooth, shift=0, rotate=20, scale=0, generator=generator(1))
    drawn = 20 * (torch.rand(1, generator=generator(1)).item() * 2 - 1)
    oracle = affine(smooth, -drawn, [0, 0], 1.0, [0.0], InterpolationMode.BILINEAR)
    assert torch.allclose(out[..., 12:36, 12:36], oracle[..., 12:36, 12:36], atol=1e-3)


def test_the_grid_is_torchs():
    theta = torch.randn(9, 2, 3, generator=generator())
    oracle = torch.nn.functional.affine_grid(theta, [9, 1, 48, 36], align_corners=False)
    assert torch.allclose(affine_grid(theta, 48, 36), oracle, atol=1e-5)


def test_shift_moves_by_at_most_the_limit():
    dot = torch.zeros(200, 1, 48, 48)
    dot[..., 24, 24] = 1
    out = warp(dot, shift=3, rotate=0, scale=0, generator=generator())
    rows, columns = out.sum(-1)[:, 0], out.sum(-2)[:, 0]
    place = torch.arange(48.0)
    for mass in (rows, columns):
        centre = (mass * place).sum(1) / mass.sum(1) - 24
        assert centre.abs().max() <= 3.001 and centre.abs().max() > 2.5 and centre.std() > 1


def test_erase_blanks_one_rectangle_at_the_probability():
    out = erase(torch.ones(2000, 1, 48, 48), 0.25, generator())
    hit = (out == 0).flatten(1).any(1)
    assert hit.float().mean().item() == pytest.approx(0.25, abs=0.04)
    hole = (out[hit] == 0)[:, 0]
    rows, columns = hole.any(2).sum(1), hole.any(1).sum(1)
    assert torch.equal(rows * columns, hole.flatten(1).sum(1))
    assert hole.float().mean((1, 2)).max() < 0.25


def test_grey_values_change_by_at_most_the_limits():
    grey = torch.cat([torch.zeros(500, 1, 48, 48), torch.ones(500, 1, 48, 48)])
    out = adjust(grey, brightness=0.2, contrast=0.3, generator=generator()).flatten(1)
    assert torch.all(out.std(1) < 1e-6)
    low, high = out[:500, 0], out[500:, 0]
    assert 0.18 < low.abs().max() <= 0.2 and 0.4 < (high - 1).abs().max() <= 0.5
