"""Copies and near copies: which images are the same photograph.

Near copies are one photograph cropped, mirrored, watermarked or encoded otherwise. Candidates are
pairs alike in their low frequencies (8x8 cosine transform), found by matrix products; near copies
are those whose best correlation at full size, over shifts of up to 5 pixels, is at least NEAR.

NEAR was chosen on FER2013: of 240 pairs drawn at random and looked at, 30 in each band, no two
different photographs were among 120 pairs of 0.93 to 0.975; 1 of 30 from 0.92 to 0.93, 7 of 30 from
0.91 to 0.92, 9 of 30 from 0.90 to 0.91.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

FREQUENCIES = 8  # a side; 12 finds no more pairs and takes twice the time
COARSE, NEAR = 0.85, 0.93  # least correlations of the two sieves
NEIGHBOURS = 8  # that an image keeps after the first sieve, so that look-alikes cost bounded time
REACH = 5  # pixels of shift
FLAT = 4  # standard deviation in grey levels below which an image resembles anything
CELLS = 2**24  # of the matrix of all pairs at a time: 64 MB


def exact_groups(images: np.ndarray) -> np.ndarray:
    """(N, 48, 48) uint8 -> (N,) int64: equal for byte-identical images, by first appearance."""
    seen: dict[bytes, int] = {}
    return np.array(
        [seen.setdefault(np.ascontiguousarray(image).tobytes(), len(seen)) for image in images],
        dtype=np.int64,
    )


def near_groups(images: np.ndarray) -> np.ndarray:
    """(N, 48, 48) uint8 -> (N,) int64: equal for copies and near copies, by first appearance.

    The order of the images does not matter. Flat images have copies, but no near copies.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    exact = exact_groups(images)
    _, first = np.unique(exact, return_index=True)
    spread = np.array([images[i].std() for i in first])
    rows = np.array(
        sorted(first[spread >= FLAT].tolist(), key=lambda i: images[i].tobytes()), dtype=np.int64
    )
    pairs = exact[rows[near_pairs(images[rows])]]
    graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(first), len(first)))
    linked = connected_components(graph, directed=False)[1][exact]
    _, index, inverse = np.unique(linked, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(index))[inverse]


def near_pairs(images: np.ndarray) -> np.ndarray:
    """(N, 48, 48) uint8, no two the same -> (P, 2) int64: the pairs that are near copies."""
    import torch

    if len(images) < 2:
        return np.empty((0, 2), np.int64)
    full = torch.from_numpy(np.ascontiguousarray(images))
    kept = [
        pairs[_shifted_correlation(full, pairs, mirrored) >= NEAR]
        for pairs, mirrored in _alike(full)
    ]
    return torch.cat(kept).numpy()


def _alike(images: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Pairs (M, 2) that pass the first sieve, and (M,) bool: the second is mirrored.

    Mirroring turns the sign of the odd horizontal frequencies, so that one matrix product of the
    even and one of the odd ones give both correlations: even + odd and even - odd.
    """
    import torch

    even, odd = _low_frequencies(images)
    n = len(images)
    step = max(1, CELLS // n)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        cosine = (odd[rows] @ odd[start:].T).abs_().addmm_(even[rows], even[start:].T).triu_(1)
        value, column = cosine.topk(min(NEIGHBOURS, n - start))
        row, place = (value >= COARSE).nonzero(as_tuple=True)
        pairs = torch.stack([row, column[row, place]], 1) + start
        yield pairs, (odd[pairs[:, 0]] * odd[pairs[:, 1]]).sum(1) < 0


def _low_frequencies(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Even and odd horizontal frequencies, (N, 32) each, together of norm 1, without the mean."""
    import torch

    grid = torch.arange(images.shape[1]) + 0.5
    cosines = torch.cos(torch.pi / len(grid) * grid[:, None] * torch.arange(FREQUENCIES))
    cosines[:, 0] /= 2**0.5
    x = torch.cat([cosines.T @ (block.float() @ cosines) for block in images.split(4096)])
    x[:, 0, 0] = 0
    x /= x.flatten(1).norm(dim=1)[:, None, None].clamp_min(1e-6)
    return x[:, :, 0::2].flatten(1).contiguous(), x[:, :, 1::2].flatten(1).contiguous()


def _shifted_correlation(
    images: torch.Tensor, pairs: torch.Tensor, mirrored: torch.Tensor
) -> torch.Tensor:
    """(M,) float64: the best correlation of the first's middle with any window of the second.

    The windows' products come from a Fourier transform and are rounded to the integers that they
    are, so that every processor finds the same pairs.
    """
    import torch

    side, shifts = images.shape[1], 2 * REACH + 1
    middle, n = slice(REACH, side - REACH), (side - 2 * REACH) ** 2
    best = [torch.empty(0, dtype=torch.float64)]
    for block, turned in zip(pairs.split(256), mirrored.split(256), strict=True):
        x, y = images[block[:, 0], middle, middle].double(), images[block[:, 1]].double()
        y = torch.where(turned[:, None, None], y.flip(2), y)
        spectrum = torch.fft.rfft2(y) * torch.fft.rfft2(x, s=(side, side)).conj()
        products = torch.fft.irfft2(spectrum, s=(side, side))[:, :shifts, :shifts].round()
        sum_x, sum_y = x.sum((1, 2), keepdim=True), _window_sums(y)
        of_x = n * (x * x).sum((1, 2), keepdim=True) - sum_x**2
        of_y = n * _window_sums(y * y) - sum_y**2
        correlation = (n * products - sum_x * sum_y) / (of_x * of_y).clamp_min(1).sqrt()
        best.append(correlation.flatten(1).amax(1))
    return torch.cat(best)


def _window_sums(x: torch.Tensor) -> torch.Tensor:
    """(M, H, W) -> (M, 11, 11): sums over every window that is 2 REACH smaller than the image."""
    from torch.nn.functional import pad

    total, width = pad(x.cumsum(1).cumsum(2), (1, 0, 1, 0)), x.shape[1] - 2 * REACH
    rows = total[:, width:] - total[:, :-width]
    return rows[:, :, width:] - rows[:, :, :-width]
