"""How far an attribution can be trusted: deletion and insertion, faithfulness, stability, verdict.

Every check gives one value per image. A gain is paired, image by image, over orders and maps that
know nothing of the image: a random one, a centred Gaussian, the mean map of the other images.
FER's faces are centred, so that the Gaussian alone passes a comparison with a random order (area
0.08 in deletion, 0.14 in insertion): only what beats it shows where the network looks.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from scipy.signal.windows import gaussian
from scipy.stats import rankdata
from torch import Tensor

from hw3lib.evaluation.intervals import Estimate
from hw3lib.evaluation.statistics import over_seeds
from hw3lib.interpretation.attribution import (
    CONTRIBUTIONS,
    attribute_all,
    frozen_copy,
    importance,
    relative,
)

LIMIT = 0.5  # rank correlation above which a map counts as still the same
LEAST = 0.02  # area between curves, or share explained: less is nothing worth the name
BASELINES = ("random order", "centred Gaussian", "mean map of others")
# check -> its limit, and whether passing means to lie above it
RULES = {
    "weight randomisation": (LIMIT, False),
    "deletion": (LEAST, True),
    "insertion": (LEAST, True),
    "faithfulness": (LEAST, True),
    "noise": (LIMIT, True),
    "shift": (LIMIT, True),
}
BLOCK, STEPS, SIDE = 4, 12, 12  # pixels of a deleted block, points of a curve, pixels of a square
SHIFTS = ((0, 1), (0, -1), (1, 0), (-1, 0))

Values = dict[str, np.ndarray]  # method -> an array whose first axis is the images


def judge(measured: Mapping[str, Mapping[str, Values]]) -> pd.DataFrame:
    """Every check of every method against its rule in RULES.

    measured : check -> what it is compared with ("" for nothing) -> method -> (N,) values

    Returns
    -------
    DataFrame with the columns check, against, method, value, low, high (interval over the images,
    95 % for all checks of a method at once) and passes: True or False if the whole interval says
    so, else None.
    """
    rows, among = [], sum(map(len, measured.values()))
    for check, comparisons in measured.items():
        limit, higher = RULES[check]
        for against, values in comparisons.items():
            for method, found in values.items():
                estimate, passes = mean_interval(found, among=among), None
                if estimate.low > limit:
                    passes = higher
                elif estimate.high < limit:
                    passes = not higher
                rows.append((check, against, method, *estimate, passes))
    columns = ["check", "against", "method", "value", "low", "high", "passes"]
    return pd.DataFrame(rows, columns=columns).astype({"passes": object})


def verdicts(judged: pd.DataFrame) -> dict[str, str]:
    """method -> "reliable", "inconclusive" or "unreliable", from `judge`.

    Unreliable: fails a check for certain. Reliable: fails none, passes the weight randomisation
    and marks what the decision depends on (deletion or insertion beats every baseline).
    Inconclusive, with this number of images: the rest.
    """
    found = {}
    for method, rows in judged.groupby("method", sort=False):
        passed = {check: list(part["passes"]) for check, part in rows.groupby("check")}
        useful = any(all(passed.get(check, [None])) for check in ("deletion", "insertion"))
        if False in list(rows["passes"]):
            found[method] = "unreliable"
        elif useful and all(passed["weight randomisation"]):
            found[method] = "reliable"
        else:
            found[method] = "inconclusive"
    return found


def mean_interval(values: np.ndarray, *, among: int = 1) -> Estimate:
    """Mean of (n,) values with its 95 % interval by Student's t, over images or classes.

    NaNs are left out; without values it is NaN. A percentile bootstrap covers 90 % at 14 images.
    among : as for `over_seeds`
    """
    values = values[~np.isnan(values)]
    if not len(values):
        return Estimate(np.nan, np.nan, np.nan)
    return over_seeds(values, among=among)


def rank_similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N, H, W) twice -> (N,) Spearman correlation of each pair; an even map gives 0."""
    return _correlation(*(rankdata(m.reshape(len(m), -1), axis=1) for m in (first, second)))


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, S) twice -> (N,) Pearson correlations; 0 where one of them is even."""
    a, b = (v - v.mean(1, keepdims=True) for v in (a.astype(np.float64), b.astype(np.float64)))
    size = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return np.divide((a * b).sum(1), size, out=np.zeros(len(a)), where=size > 1e-12)


def centred_gaussian(shape: tuple[int, int, int]) -> np.ndarray:
    """(N, H, W) float32: the same bump for every image, its deviation a quarter of the frame."""
    bump = np.outer(*(gaussian(n, n / 4) for n in shape[1:]))
    return np.broadcast_to(bump, shape).astype(np.float32)


def mean_of_others(maps: np.ndarray) -> np.ndarray:
    """(N, H, W) -> (N, H, W): for each image the mean of the other images' relative maps."""
    maps = relative(maps)
    return (maps.sum(0) - maps) / max(1, len(maps) - 1)


def deletion(
    network, inputs: Tensor, target, maps: np.ndarray, *, insert: bool = False
) -> np.ndarray:
    """(N, STEPS + 1) probability of the target as the blocks of largest value are blurred away.

    After Petsiuk et al. 2018, RISE (arXiv:1806.07421). Whole blocks are replaced by a blurred copy
    of the image: single grey pixels would be a noise that no network has seen, and a random
    order would win by it. maps (N, H, W) >= 0; equal values come in random order.

    insert : the other way round, from the blurred copy to the image, largest value first
    """
    pooled = F.avg_pool2d(torch.as_tensor(maps)[:, None].float(), BLOCK)
    N, _, h, w = pooled.shape
    jitter = torch.rand((N, h * w), generator=torch.Generator().manual_seed(0))
    order = (pooled.flatten(1) + 1e-9 * jitter).argsort(dim=1, descending=True)
    rank = order.argsort(dim=1).reshape(N, 1, h, w)
    rank = rank.repeat_interleave(BLOCK, 2).repeat_interleave(BLOCK, 3).to(inputs.device)
    start, end = (_blur(inputs), inputs) if insert else (inputs, _blur(inputs))
    target = torch.as_tensor(target, device=inputs.device).expand(N)[:, None]
    model, curve = frozen_copy(network), []
    with torch.no_grad():
        for changed in np.linspace(0, h * w, STEPS + 1).round().astype(int):
            logits = model(torch.where(rank < int(changed), end, start))
            curve.append(logits.softmax(1).gather(1, target)[:, 0].cpu().numpy())
    return np.stack(curve, axis=1)


def _blur(inputs: Tensor) -> Tensor:
    smooth = gaussian_filter(inputs.cpu().numpy(), sigma=(0, 0, 6, 6), mode="nearest")
    return torch.as_tensor(smooth, dtype=inputs.dtype, device=inputs.device)


def deletion_curves(
    network, inputs: Tensor, target, maps: Values, *, insert: bool = False
) -> dict[str, Values]:
    """ "" and each of BASELINES -> method -> (N, STEPS + 1) curves of `deletion`.

    maps : method -> (N, H, W) importance
    """

    def curve(values: np.ndarray) -> np.ndarray:
        return deletion(network, inputs, target, values, insert=insert)

    shape = (len(inputs), *inputs.shape[2:])
    chance = np.random.default_rng(0).random((3, *shape), dtype=np.float32)
    random = np.mean([curve(c) for c in chance], axis=0)
    return {
        "": {m: curve(v) for m, v in maps.items()},
        "random order": dict.fromkeys(maps, random),
        "centred Gaussian": dict.fromkeys(maps, curve(centred_gaussian(shape))),
        "mean map of others": {m: curve(mean_of_others(v)) for m, v in maps.items()},
    }


def gains(found: dict[str, Values], *, sign: int = 1) -> dict[str, Values]:
    """Each of BASELINES -> method -> (N,) gain over it, the mean over steps where there are any.

    found : of deletion_curves or faithfulness;  sign : -1 where less is better (deletion)
    """

    def gain(own: np.ndarray, other: np.ndarray) -> np.ndarray:
        return sign * (own - other).reshape(len(own), -1).mean(1)

    own = found[""]
    return {b: {m: gain(own[m], found[b][m]) for m in own} for b in BASELINES}


def faithfulness(network, inputs: Tensor, target, maps: Values) -> dict[str, Values]:
    """ "" and each of BASELINES -> method -> (N,) share of the logit's falls explained, -1 to 1.

    Each square of SIDE pixels on a grid is greyed in turn. How far the logit falls with it is
    compared with what the map says that it takes away. It is one minus infidelity (Yeh et al.
    2019, arXiv:1901.09392) at the best scale and offset, for the mean of all squares any even map
    explains: the squared correlation, negative where the map points the wrong way. A random map
    explains nothing.

    maps : method -> (N, H, W) signed
    """
    squares = _squares(inputs.shape[2])
    falls = greying(network, inputs, target, squares)
    grey = inputs.detach().mean(1).cpu().numpy()
    gaussian = centred_gaussian(grey.shape)

    def share(method: str, values: np.ndarray) -> np.ndarray:
        taken = values if method in CONTRIBUTIONS else values * grey
        r = _correlation(falls, np.einsum("nhw,shw->ns", taken, squares))
        return np.sign(r) * r**2

    return {
        "": {m: share(m, v) for m, v in maps.items()},
        "random order": dict.fromkeys(maps, np.zeros(len(inputs))),
        "centred Gaussian": {m: share(m, gaussian) for m in maps},
        "mean map of others": {m: share(m, mean_of_others(v)) for m, v in maps.items()},
    }


def greying(network, inputs: Tensor, target, squares: np.ndarray) -> np.ndarray:
    """(N, S) fall of the target's logit as each square (S, H, W) in {0, 1} is made even grey."""
    N, S = len(inputs), len(squares)
    target = torch.as_tensor(target, device=inputs.device).expand(N)
    kept = 1 - torch.as_tensor(squares, dtype=inputs.dtype, device=inputs.device)[:, None]
    model, left = frozen_copy(network), []
    with torch.no_grad():
        whole = model(inputs).gather(1, target[:, None])
        for at in torch.arange(N * S, device=inputs.device).split(512):
            logits = model(inputs[at // S] * kept[at % S])
            left.append(logits.gather(1, target[at // S, None])[:, 0])
    return (whole - torch.cat(left).reshape(N, S)).cpu().numpy()


def _squares(size: int) -> np.ndarray:
    """(S, size, size) float32 in {0, 1}, one square each, every half a SIDE."""
    starts = np.arange(0, size - SIDE + 1, SIDE // 2)[:, None]
    inside = (np.arange(size) >= starts) & (np.arange(size) < starts + SIDE)
    grid = inside[:, None, :, None] & inside[None, :, None, :]
    return grid.reshape(-1, size, size).astype(np.float32)


def stability(
    network, inputs: Tensor, target, maps: Values, *, options: Mapping[str, dict] | None = None
) -> dict[str, Values]:
    """ "noise" and "shift" -> method -> (N,) rank correlation of the map with the changed image's.

    "noise" : the worst of four draws of uniform noise, after max-sensitivity (Yeh et al. 2019)
    "shift" : the mean of the four shifts by one pixel, maps shifted back, the border left out

    maps : method -> (N, H, W) signed, of the images as they are
    """
    generator, (H, W) = torch.Generator().manual_seed(0), inputs.shape[2:]
    padded = F.pad(inputs, (1, 1, 1, 1), mode="replicate")
    step = 2 / 255 * float(inputs.max() - inputs.min())  # two grey levels: no eye sees it
    inside = (slice(None), slice(1, -1), slice(1, -1))

    def similarity(changed: Tensor, shift: tuple[int, int] = (0, 0)) -> Values:
        others = attribute_all(network, changed, target, methods=list(maps), options=options)
        pairs = {m: (v, np.roll(others[m], shift, axis=(1, 2))) for m, v in maps.items()}
        return {
            m: rank_similarity(*(importance(m, v)[inside] for v in p)) for m, p in pairs.items()
        }

    noise, shifted = [], []
    for dy, dx in SHIFTS:
        draw = 2 * torch.rand((len(inputs), 1, H, W), generator=generator) - 1
        noise.append(similarity(inputs + step * draw.to(inputs.device)))
        moved = padded[:, :, 1 - dy : 1 - dy + H, 1 - dx : 1 - dx + W]
        shifted.append(similarity(moved, (-dy, -dx)))
    return {
        "noise": {m: np.min([found[m] for found in noise], axis=0) for m in maps},
        "shift": {m: np.mean([found[m] for found in shifted], axis=0) for m in maps},
    }
