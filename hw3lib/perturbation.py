"""How decision and map answer when the picture is changed: the checks of an attribution's worth.

Large changes (blocks blurred away or put back, squares greyed) ask whether the map tells what the
decision hangs on; small ones (a little noise, a shift by one pixel) whether it holds still while
the decision does.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hw3lib.probing import untouched
from hw3lib.saliency import attribute_all, importance, known
from hw3lib.saliency_checks import rank_similarity

SHIFTS = ((0, 1), (0, -1), (1, 0), (-1, 0))


def deletion(
    network,
    inputs: Tensor,
    target,
    maps: np.ndarray,
    *,
    insert: bool = False,
    block: int = 4,
    steps: int = 12,
    seed: int = 0,
) -> np.ndarray:
    """(N, steps + 1) probability of the target as the blocks of largest value are blurred away.

    After Petsiuk et al. 2018, RISE (arXiv:1806.07421). Whole blocks are replaced by a blurred copy
    of the picture: single grey pixels would be a noise that no network has seen, and a random
    order would win by it. maps (N, H, W) >= 0; draw them at random for the random order.

    insert : the other way round, from the blurred copy to the picture, largest value first
    """
    pooled = F.avg_pool2d(torch.as_tensor(maps)[:, None].float(), block)
    N, _, h, w = pooled.shape
    jitter = torch.rand((N, h * w), generator=torch.Generator().manual_seed(seed))
    order = (pooled.flatten(1) + 1e-9 * jitter).argsort(dim=1, descending=True)
    rank = order.argsort(dim=1).reshape(N, 1, h, w)
    rank = rank.repeat_interleave(block, 2).repeat_interleave(block, 3).to(inputs.device)
    start, end = (_blur(inputs), inputs) if insert else (inputs, _blur(inputs))
    target = torch.as_tensor(target, device=inputs.device).expand(N)[:, None]
    curve = []
    with untouched(network) as model, torch.no_grad():
        for changed in np.linspace(0, h * w, steps + 1).round().astype(int):
            logits = model(torch.where(rank < int(changed), end, start))
            curve.append(logits.softmax(1).gather(1, target)[:, 0].cpu().numpy())
    return np.stack(curve, axis=1)


def _blur(inputs: Tensor, sigma: float = 6.0) -> Tensor:
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(inputs.cpu().numpy(), sigma=(0, 0, sigma, sigma), mode="nearest")
    return torch.as_tensor(smooth, dtype=inputs.dtype, device=inputs.device)


def random_maps(shape: tuple[int, ...], *, draws: int = 3, seed: int = 0) -> np.ndarray:
    """(draws, N, H, W) in [0, 1): maps that know nothing, for the order to be beaten."""
    return np.random.default_rng(seed).random((draws, *shape), dtype=np.float32)


def explained(
    network,
    inputs: Tensor,
    target,
    maps: Mapping[str, np.ndarray],
    *,
    side: int = 12,
    stride: int = 6,
) -> dict[str, np.ndarray]:
    """method -> (N,) share of the differences between squares that the map foretells, -1 to 1.

    Each square of `side` pixels on a grid is greyed in turn. How far the logit falls with it is
    compared with what the map says that it takes away. It is one minus infidelity (Yeh et al.
    2019, arXiv:1901.09392) at the best scale and offset, for the mean of all squares any even map
    foretells: the squared correlation, negative where the map points the wrong way.

    maps : method -> (N, H, W) signed
    """
    squares = _squares(side, stride, inputs.shape[2])
    falls = greying(network, inputs, target, squares)
    grey = inputs.detach().mean(1).cpu().numpy()
    found = {}
    for name, values in maps.items():
        taken = values if known(name).contribution else values * grey
        r = _correlation(falls, np.einsum("nhw,shw->ns", taken, squares))
        found[name] = np.sign(r) * r**2
    return found


def greying(network, inputs: Tensor, target, squares: np.ndarray, *, batch: int = 512):
    """(N, S) fall of the target's logit as each square (S, H, W) in {0, 1} is made even grey."""
    N, S = len(inputs), len(squares)
    target = torch.as_tensor(target, device=inputs.device).expand(N)
    kept = 1 - torch.as_tensor(squares, dtype=inputs.dtype, device=inputs.device)[:, None]
    left = []
    with untouched(network) as model, torch.no_grad():
        whole = model(inputs).gather(1, target[:, None])
        for start in range(0, N * S, batch):
            at = torch.arange(start, min(start + batch, N * S), device=inputs.device)
            logits = model(inputs[at // S] * kept[at % S])
            left.append(logits.gather(1, target[at // S, None])[:, 0])
    return (whole - torch.cat(left).reshape(N, S)).cpu().numpy()


def _squares(side: int, stride: int, size: int) -> np.ndarray:
    """(S, size, size) float32 in {0, 1}, one square each."""
    starts = np.arange(0, size - side + 1, stride)
    inside = (np.arange(size) >= starts[:, None]) & (np.arange(size) < starts[:, None] + side)
    grid = inside[:, None, :, None] & inside[None, :, None, :]
    return grid.reshape(-1, size, size).astype(np.float32)


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, S) twice -> (N,); 0 where one of them is even."""
    a, b = (v - v.mean(1, keepdims=True) for v in (a.astype(np.float64), b.astype(np.float64)))
    size = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return np.divide((a * b).sum(1), size, out=np.zeros(len(a)), where=size > 1e-12)


def sensitivity(
    network,
    inputs: Tensor,
    target,
    maps: Mapping[str, np.ndarray],
    *,
    options: Mapping[str, dict] | None = None,
    radius: float = 2 / 255,
    samples: int = 3,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """method -> (N,) largest change of the map, over its own size, when the picture hardly changes.

    Max-sensitivity (Yeh et al. 2019). captum.metrics.sensitivity_max reorders a batch, so that a
    method that draws noise would meet other draws; here every picture keeps its place.

    maps   : method -> (N, H, W) signed, of the pictures as they are
    radius : largest change of a pixel, as a share of the inputs' range
    """
    generator = torch.Generator().manual_seed(seed)
    step = radius * float(inputs.max() - inputs.min())
    worst = {name: np.zeros(len(inputs)) for name in maps}
    for _ in range(samples):
        noise = 2 * torch.rand((len(inputs), 1, *inputs.shape[2:]), generator=generator) - 1
        near = inputs + step * noise.to(inputs.device)
        others = attribute_all(network, near, target, methods=list(maps), options=options)
        for name, values in maps.items():
            change, size = (np.linalg.norm(m, axis=(1, 2)) for m in (others[name] - values, values))
            share = np.divide(change, size, out=np.zeros_like(change), where=size > 0)
            worst[name] = np.maximum(worst[name], share)
    return worst


def shift_similarity(
    network,
    inputs: Tensor,
    target,
    maps: Mapping[str, np.ndarray],
    *,
    options: Mapping[str, dict] | None = None,
) -> dict[str, np.ndarray]:
    """method -> (N,) rank correlation of the map with the one of the picture shifted by a pixel.

    The shifted picture's map is shifted back and the pixels at the border are left out; mean over
    the four directions.

    maps : method -> (N, H, W) signed, of the pictures as they are
    """
    inside = (slice(None), slice(1, -1), slice(1, -1))
    found: dict[str, list[np.ndarray]] = {name: [] for name in maps}
    for dy, dx in SHIFTS:
        padded = F.pad(inputs, (1, 1, 1, 1), mode="replicate")
        moved = padded[:, :, 1 - dy : 49 - dy, 1 - dx : 49 - dx]
        others = attribute_all(network, moved, target, methods=list(maps), options=options)
        for name, values in maps.items():
            back = np.roll(others[name], (-dy, -dx), axis=(1, 2))
            pair = (importance(name, m)[inside] for m in (values, back))
            found[name].append(rank_similarity(*pair))
    return {name: np.mean(values, axis=0) for name, values in found.items()}
