"""Which pixels a decision hangs on: five attributions with one signature, by captum.

Every method takes (network, inputs, target, *, seed, **options) and returns a tensor of the
inputs' shape. What is explained is the target's logit, the number before softmax. The network is
left as it was, also when a method fails.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hw3lib import UserError
from hw3lib.edges import edge_strength
from hw3lib.probing import layers, untouched
from hw3lib.text import Text, term

SMOOTH = 1.3  # pixels: deviation of the Gaussian under which maps are read


def gradient(network, inputs: Tensor, target, *, seed: int = 0) -> Tensor:
    """How the logit changes with each pixel (Simonyan et al. 2014, arXiv:1312.6034); signed."""
    from captum.attr import Saliency

    with untouched(network) as model:
        return Saliency(model).attribute(*_ready(inputs, target), abs=False).detach()


def smoothgrad(
    network, inputs: Tensor, target, *, seed: int = 0, samples: int = 16, noise: float = 0.15
) -> Tensor:
    """Mean gradient over noisy copies (Smilkov et al. 2017, arXiv:1706.03825); signed.

    noise : standard deviation, as a share of the inputs' range
    """
    from captum.attr import NoiseTunnel, Saliency

    inputs, target = _ready(inputs, target)
    spread = noise * float(inputs.detach().max() - inputs.detach().min())
    with untouched(network) as model, torch.random.fork_rng(devices=_cuda(inputs)):
        torch.manual_seed(seed)
        return (
            NoiseTunnel(Saliency(model))
            .attribute(
                inputs,
                nt_samples=samples,
                nt_samples_batch_size=max(1, 256 // len(inputs)),
                stdevs=spread,
                target=target,
                abs=False,
            )
            .detach()
        )


def integrated_gradients(
    network,
    inputs: Tensor,
    target,
    *,
    seed: int = 0,
    steps: int = 32,
    baseline: float | Tensor = 0.0,
) -> Tensor:
    """Gradients summed on the way from a flat picture (Sundararajan et al. 2017, 1703.01365).

    The values of a picture add up to logit(picture) - logit(baseline): a share of the logit for
    every pixel. After Network.prepare the baseline 0 is an even grey, the training pictures' mean.
    """
    from captum.attr import IntegratedGradients

    inputs, target = _ready(inputs, target)
    with untouched(network) as model:
        return (
            IntegratedGradients(model)
            .attribute(
                inputs,
                baselines=baseline,
                target=target,
                n_steps=steps,
                internal_batch_size=max(256, len(inputs)),
            )
            .detach()
            .to(inputs.dtype)
        )


def grad_cam(
    network, inputs: Tensor, target, *, seed: int = 0, layer: str = "", positive: bool = True
) -> Tensor:
    """Maps of a late layer weighted by their mean gradient (Selvaraju et al. 2017, 1610.02391).

    layer    : a name in the model; "" takes last_map's
    positive : keep only what speaks for the target, as the paper does

    The coarse map is interpolated to the inputs' size and shared evenly among their channels.
    """
    from captum.attr import LayerAttribution, LayerGradCam

    inputs, target = _ready(inputs, target)
    with untouched(network) as model:
        name = layer or last_map(model, inputs)
        found = dict(model.named_modules()).get(name)
        if found is None:
            raise UserError(f"layer {name!r}: the network has none of that name")
        coarse = LayerGradCam(model, found).attribute(inputs, target, relu_attributions=positive)
        fine = LayerAttribution.interpolate(coarse.detach(), inputs.shape[2:], "bilinear")
    return fine.expand_as(inputs) / inputs.shape[1]


def guided_backprop(network, inputs: Tensor, target, *, seed: int = 0) -> Tensor:
    """The gradient with negative parts dropped at each ReLU (Springenberg et al. 2015, 1412.6806).

    Sharp pictures, but Adebayo et al. (2018, arXiv:1810.03292) found that they hardly depend on
    what the network learned: shown here to be checked, not believed.
    """
    from captum.attr import GuidedBackprop

    inputs, target = _ready(inputs, target)
    with untouched(network) as model, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
        return GuidedBackprop(model).attribute(inputs, target).detach()


def completeness_error(network, inputs: Tensor, target, maps: np.ndarray) -> np.ndarray:
    """(N,) |sum of the map - (logit(picture) - logit(even grey))| as a share of that difference.

    maps : (N, H, W) of integrated_gradients with its default baseline
    """
    inputs, target = _ready(inputs, target)
    with untouched(network) as model, torch.no_grad():
        both = [model(x).gather(1, target[:, None])[:, 0] for x in (inputs, inputs * 0)]
    rise = (both[0] - both[1]).cpu().numpy()
    return np.abs(maps.sum((1, 2)) - rise) / np.maximum(np.abs(rise), 1e-12)


@dataclass(frozen=True)
class Method:
    """An attribution and how to read it.

    contribution : a positive value speaks for the target; otherwise (a sensitivity) the sign
        says whether brighter or darker helps, and only the size says how much a pixel matters
    """

    attribute: Callable[..., Tensor]
    title: Text
    contribution: bool


def edges_alone(network, inputs: Tensor, target, *, seed: int = 0) -> Tensor:
    """No attribution but a planted fault: the edges of the picture, whatever the network is."""
    edges = torch.as_tensor(edge_strength(inputs.detach().mean(1).cpu().numpy()))
    return edges[:, None].expand_as(inputs).to(inputs) / inputs.shape[1]


METHODS: dict[str, Method] = {
    "gradient": Method(gradient, term("gradient"), False),
    "smoothgrad": Method(smoothgrad, Text("SmoothGrad", "SmoothGrad"), False),
    "integrated_gradients": Method(integrated_gradients, term("Integrated Gradients"), True),
    "grad_cam": Method(grad_cam, Text("Grad-CAM", "Grad-CAM"), True),
    "guided_backprop": Method(guided_backprop, term("guided backprop"), False),
}
PLANTED: dict[str, Method] = {  # for the checks to catch
    "edges_alone": Method(edges_alone, Text("只畫邊緣（假）", "edges alone (planted)"), False),
}


def known(method: str) -> Method:
    """The Method called `method`, planted ones included."""
    found = {**METHODS, **PLANTED}
    if method not in found:
        raise UserError(f"attribution {method!r}: choose one of {', '.join(METHODS)}")
    return found[method]


def attribute(method: str, network, inputs: Tensor, target, *, seed: int = 0, **options) -> Tensor:
    """The attribution called `method` (a name in METHODS): a tensor of the inputs' shape."""
    return known(method).attribute(network, inputs, target, seed=seed, **options)


def attribute_all(
    network,
    inputs: Tensor,
    target,
    *,
    methods: Iterable[str] = tuple(METHODS),
    options: dict[str, dict] | None = None,
    seed: int = 0,
    batch: int = 64,
    smooth: float = SMOOTH,
) -> dict[str, np.ndarray]:
    """method -> (N, H, W) float32 signed maps of many pictures, channels summed, smoothed.

    options : method -> its keyword options, e.g. {"smoothgrad": {"samples": 8}}
    smooth  : see `smoothed`
    """
    target = torch.as_tensor(target).expand(len(inputs))
    chunks = [slice(i, i + batch) for i in range(0, len(inputs), batch)]

    def maps(name: str, part: slice) -> np.ndarray:
        extra = (options or {}).get(name, {})
        found = attribute(name, network, inputs[part], target[part], seed=seed, **extra)
        return smoothed(pixel_map(found), smooth)

    return {name: np.concatenate([maps(name, part) for part in chunks]) for name in methods}


def pixel_map(attribution: Tensor) -> np.ndarray:
    """(N, C, H, W) -> (N, H, W) float32: channels that repeat one grey picture belong together."""
    return attribution.detach().sum(1).float().cpu().numpy()


def smoothed(maps: np.ndarray, sigma: float) -> np.ndarray:
    """(N, H, W) under a Gaussian of `sigma` pixels: what a soft spot does instead of one pixel.

    A pixel's value next to its neighbour's is the speckle of strided convolutions; a decision
    hangs on spots. The sum of a map stays, so that contributions still add up.
    """
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(maps, sigma=(0, sigma, sigma)) if sigma else maps


def importance(method: str, maps: np.ndarray) -> np.ndarray:
    """Signed maps -> how much each pixel matters, >= 0: what speaks for the target, or the size."""
    return maps.clip(min=0) if known(method).contribution else np.abs(maps)


def class_means(values: np.ndarray, classes: np.ndarray, *, count: int = 7) -> np.ndarray:
    """(N, H, W) -> (count, H, W) mean of each class; NaN for a class without pictures."""
    means = np.full((count, *values.shape[1:]), np.nan)
    for c in np.unique(classes):
        means[c] = values[classes == c].mean(0)
    return means


def examples(probabilities: np.ndarray, labels: np.ndarray, *, right: bool) -> list[int]:
    """For each class the surest prediction that is right, or wrong: at most one row a class.

    probabilities : (n, 7);  labels : (n,) true classes; a class without such a picture is left out
    """
    sure, predicted = probabilities.max(1), probabilities.argmax(1)
    wanted = (predicted == labels) == right
    rows = [np.flatnonzero(wanted & (labels == c)) for c in range(probabilities.shape[1])]
    return [int(r[sure[r].argmax()]) for r in rows if len(r)]


def spread_over_classes(labels: np.ndarray, count: int) -> np.ndarray:
    """The first rows of each class in turn, `count` at most, in rising order."""
    turns = np.array([np.count_nonzero(labels[:i] == c) for i, c in enumerate(labels)])
    return np.sort(np.argsort(turns, kind="stable")[:count])


def first_by_id(ids: np.ndarray) -> int:
    """Row of the smallest id; numbers by value ("2" before "10"), and before names."""
    keys = [(not i.isdigit(), int(i) if i.isdigit() else 0, i) for i in map(str, ids)]
    return min(range(len(keys)), key=keys.__getitem__)


def last_map(network, inputs: Tensor, *, least: int = 6) -> str:
    """Name of the last ReLU or convolution whose maps are `least` pixels wide, for Grad-CAM.

    The very last maps of these networks have 3 x 3 pixels: too few to tell an eye from a mouth.
    Where no layer has such maps it is the last one wider than a pixel.
    """
    spatial = [
        layer
        for layer in layers(network, inputs)
        if isinstance(layer.module, (nn.ReLU, nn.Conv2d))
        and len(layer.shape) == 3
        and min(layer.shape[1:]) > 1
    ]
    if not spatial:
        raise UserError("Grad-CAM: the network has no convolution with maps wider than a pixel")
    fine = [layer for layer in spatial if min(layer.shape[1:]) >= least]
    return (fine or spatial)[-1].name


def _ready(inputs: Tensor, target) -> tuple[Tensor, Tensor]:
    inputs = inputs.detach().clone().requires_grad_(True)
    target = torch.as_tensor(target, dtype=torch.long, device=inputs.device)
    return inputs, target.expand(len(inputs))


def _cuda(inputs: Tensor) -> list[torch.device]:
    return [inputs.device] if inputs.device.type == "cuda" else []
