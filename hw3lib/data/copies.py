"""Copies and near copies: which images are the same photograph.

Near copies are one photograph cropped, mirrored, watermarked or encoded otherwise. Three sieves,
each on the pairs that the one before let through:

1. the cosine of the low frequencies (8x8 cosine transform), of all pairs by matrix products;
2. the best correlation over shifts at half size, direct and mirrored;
3. the best correlation over shifts of up to 5 pixels at full size, at least NEAR.

NEAR was chosen by looking at pairs of FER2013, 40 drawn at random from each band: from 0.935 to
0.96 one was the same person at another moment, from 0.86 to 0.89 one, in the bands between none;
all others, and the 72 weakest mirrored pairs, were the same photograph. So it could be lower, but
two strangers among 1,000 drawn faces of one class come to 0.929 (the most of 14 times).
Linked pairs make a group. The twenty largest, of 8 to 17 different images, were looked at: in none
does a chain of pairs lead from one photograph to another.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from hw3lib.data.faces import exact_groups

COARSE, HALF, NEAR = 0.75, 0.7, 0.93  # least correlations of the three sieves
FREQUENCIES = 8  # a side; 12 rank no better and take twice as long
NEIGHBOURS = 8  # that an image keeps of the first sieve, so that look-alikes cost bounded time
REACH = 5  # pixels of shift
FLAT = 4  # standard deviation in grey levels, below which an image resembles anything
CELLS = 2**24  # of the matrix of all pairs at a time: 64 MB


def near_groups(images: np.ndarray) -> np.ndarray:
    """(N, 48, 48) uint8 -> (N,) int64: equal for copies and near copies, by first appearance.

    The order of the images does not matter. Flat images have copies, but no near copies.
    """
    exact = exact_groups(images)
    _, first = np.unique(exact, return_index=True)
    spread = np.array([images[i].std() for i in first])
    rows = np.array(
        sorted(first[spread >= FLAT].tolist(), key=lambda i: images[i].tobytes()), dtype=np.int64
    )
    pairs = exact[rows[near_pairs(images[rows])]]
    graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(first), len(first)))
    linked = connected_components(graph, directed=False)[1]
    return pd.factorize(linked[exact])[0]


def closest(images: np.ndarray, row: int, others: list[int]) -> tuple[int, int]:
    """The row of `others` that is most like `row`, and 1 if it is mirrored."""
    details = _details(torch.from_numpy(images[[row, *others]]).double())
    pairs = torch.tensor([(0, i) for i in range(1, len(details))])
    scores = torch.stack([_shifted_correlation(details, pairs, m, REACH) for m in (False, True)])
    best = scores.amax(0).argmax()
    return others[best], int(scores[1, best] > scores[0, best])


def near_pairs(images: np.ndarray) -> np.ndarray:
    """(N, 48, 48) uint8, no two the same -> (P, 2) int64: the pairs that are near copies."""
    if len(images) < 2:
        return np.empty((0, 2), np.int64)
    full = torch.from_numpy(images)
    half = _details(avg_pool2d(full.float(), 2), scale=0.5)
    kept = []
    for pairs in _alike(images):
        for mirrored in (False, True):
            likely = pairs[_shifted_correlation(half, pairs, mirrored, (REACH + 1) // 2) >= HALF]
            index, local = likely.unique(return_inverse=True)
            details = _details(full[index].double())
            kept.append(likely[_shifted_correlation(details, local, mirrored, REACH) >= NEAR])
    return torch.cat(kept).unique(dim=0).numpy()


def _alike(images: np.ndarray) -> Iterator[Tensor]:
    """Pairs (M, 2) that pass the first sieve.

    Mirroring turns the sign of the odd horizontal frequencies, so that one matrix product of the
    even and one of the odd ones give both correlations: even + odd and even - odd.
    """
    even, odd = map(torch.from_numpy, _low_frequencies(images))
    n = len(images)
    step = max(1, CELLS // n)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        cosine = (odd[rows] @ odd[start:].T).abs_().addmm_(even[rows], even[start:].T).triu_(1)
        value, column = cosine.topk(min(NEIGHBOURS, n - start))
        row, place = (value >= COARSE).nonzero(as_tuple=True)
        yield torch.stack([row, column[row, place]], 1) + start


def _low_frequencies(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Even and odd horizontal frequencies, (N, 32) float32 each, together of norm 1, no mean."""
    grid = np.arange(images.shape[1]) + 0.5
    cosines = np.cos(np.pi / len(grid) * grid[:, None] * np.arange(FREQUENCIES)).astype(np.float32)
    cosines[:, 0] /= np.sqrt(2)
    x = np.empty((len(images), FREQUENCIES, FREQUENCIES), np.float32)
    for start in range(0, len(images), 4096):
        block = images[start : start + 4096].astype(np.float32)
        x[start : start + 4096] = cosines.T @ (block @ cosines)
    x[:, 0, 0] = 0
    x /= np.maximum(np.linalg.norm(x, axis=(1, 2), keepdims=True), 1e-6)
    return tuple(x[:, :, odd::2].reshape(len(x), -1) for odd in (0, 1))


def _details(images: Tensor, scale: float = 1) -> Tensor:
    """(N, H, W) floating: smoothed by a Gaussian of 1.2 pixels, less one of 4 pixels.

    The first forgives rotations, noise and encodings; without the second, strangers in the same
    light, one cheek dark, resemble each other.
    """
    place = torch.arange(images.shape[1], dtype=images.dtype)
    distance = (place[:, None] - place) ** 2
    fine, wide = (torch.softmax(-distance / (2 * (scale * s) ** 2), 1) for s in (1.2, 4))
    return fine @ images @ fine.T - wide @ images @ wide.T


def _shifted_correlation(images: Tensor, pairs: Tensor, mirrored: bool, reach: int) -> Tensor:
    """(M,): the best correlation of the first's middle with any window of the second.

    In float64 where it decides, so that no two processors differ in which pairs they find.
    """
    side, shifts = images.shape[1], 2 * reach + 1
    middle, width = slice(reach, side - reach), side - 2 * reach
    best = [torch.empty(0, dtype=images.dtype)]
    for block in pairs.split(256) if len(pairs) else ():  # torch 2.11 has no FFT of nothing
        x, y = images[block[:, 0], middle, middle], images[block[:, 1]]
        y = y.flip(2) if mirrored else y
        x = x - x.mean((1, 2), keepdim=True)
        spectrum = torch.fft.rfft2(y) * torch.fft.rfft2(x, s=(side, side)).conj()
        products = torch.fft.irfft2(spectrum, s=(side, side))[:, :shifts, :shifts]
        spread = _window_sums(y * y, width) - _window_sums(y, width) ** 2 / width**2
        norms = (x * x).sum((1, 2), keepdim=True) * spread
        best.append((products / norms.clamp_min(1).sqrt()).flatten(1).amax(1))
    return torch.cat(best)


def _window_sums(x: Tensor, width: int) -> Tensor:
    """(M, H, W) -> (M, H - width + 1, W - width + 1): sums over every square window."""
    total = pad(x.cumsum(1).cumsum(2), (1, 0, 1, 0))
    rows = total[:, width:] - total[:, :-width]
    return rows[:, :, width:] - rows[:, :, :-width]
