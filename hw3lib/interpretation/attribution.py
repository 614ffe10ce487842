"""Which pixels a decision depends on: attribution methods with one signature, by captum.

A new one is a function in METHODS (in CONTRIBUTIONS, too, if its sign speaks for the target) and
has its word in `hw3lib.text`. What is explained is the target's logit, the number before softmax.
Everything here works on a frozen copy, so that the network stays as it was, also when a method
fails.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from captum.attr import (
    GuidedBackprop,
    IntegratedGradients,
    LayerAttribution,
    LayerGradCam,
    NoiseTunnel,
    Saliency,
)
from scipy.ndimage import gaussian_filter, sobel
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from hw3lib import UserError
from hw3lib.data.faces import CLASSES

SMOOTH = 1.3  # pixels: deviation of the Gaussian under which maps are read


def frozen_copy(network) -> nn.Module:
    """A copy of the model (of a Network or an nn.Module) in eval mode, nothing in place.

    Its parameters take no gradient. A deep copy of 1 M parameters takes about 2 ms.
    """
    model = copy.deepcopy(network if isinstance(network, nn.Module) else network.model)
    for module in model.modules():
        if getattr(module, "inplace", False):
            module.inplace = False
    return model.eval().requires_grad_(False)


class Layer(NamedTuple):
    """A module without children as it ran; `before` is the node of the graph that ran before it.

    shape : of one image's output
    """

    name: str
    module: nn.Module
    shape: tuple[int, ...]
    before: str


def layers(network, inputs: Tensor) -> list[Layer]:
    """The layers in the order in which they run on `inputs` (B, C, H, W), each at its first use."""
    model = frozen_copy(network)
    modules = dict(model.named_modules())
    nodes = get_graph_node_names(model, suppress_diff_warning=True)[1]
    ran = [(name, before) for before, name in pairwise(nodes) if name in modules]
    with torch.no_grad():
        values = features(model, [name for name, _ in ran])(inputs[:1])
    return [Layer(name, modules[name], tuple(values[name].shape[1:]), b) for name, b in ran]


def features(network, names: Iterable[str]) -> nn.Module:
    """A copy of the model that returns {name: value} for layers or nodes of its graph.

    What lies behind them is not run. Gradients flow back to the inputs.
    """
    return create_feature_extractor(frozen_copy(network), list(names), suppress_diff_warning=True)


def gradient(model: nn.Module, inputs: Tensor, target: Tensor) -> Tensor:
    """How the logit changes with each pixel (Simonyan et al. 2014, arXiv:1312.6034); signed."""
    return Saliency(model).attribute(inputs, target, abs=False)


def smoothgrad(model: nn.Module, inputs: Tensor, target: Tensor, *, samples: int = 16) -> Tensor:
    """Mean gradient over noisy copies (Smilkov et al. 2017, arXiv:1706.03825); signed."""
    low, high = inputs.detach().aminmax()
    spread = 0.15 * float(high - low)  # 10 to 20 % of the range, says the paper
    with torch.random.fork_rng(devices=[inputs.device] if inputs.is_cuda else []):
        torch.manual_seed(0)
        return NoiseTunnel(Saliency(model)).attribute(
            inputs,
            nt_samples=samples,
            nt_samples_batch_size=max(1, 256 // len(inputs)),
            stdevs=spread,
            target=target,
            abs=False,
        )


def integrated_gradients(
    model: nn.Module, inputs: Tensor, target: Tensor, *, steps: int = 32
) -> Tensor:
    """Gradients summed on the way from a flat image (Sundararajan et al. 2017, arXiv:1703.01365).

    The values of an image add up to logit(image) - logit(0): a share of the logit for every
    pixel. After Network.prepare 0 is the training set's mean grey.
    """
    size = max(256, len(inputs))
    integrate = IntegratedGradients(model).attribute
    return integrate(inputs, 0.0, target, n_steps=steps, internal_batch_size=size)


def grad_cam(model: nn.Module, inputs: Tensor, target: Tensor) -> Tensor:
    """Maps of `last_map` weighted by their mean gradient (Selvaraju et al. 2017, 1610.02391).

    Only what speaks for the target is kept, as the paper does. The coarse map is interpolated to
    the inputs' size and shared evenly among their channels.
    """
    layer = model.get_submodule(last_map(model, inputs))
    coarse = LayerGradCam(model, layer).attribute(inputs, target, relu_attributions=True)
    fine = LayerAttribution.interpolate(coarse.detach(), inputs.shape[2:], "bilinear")
    return fine.expand_as(inputs) / inputs.shape[1]


def guided_backprop(model: nn.Module, inputs: Tensor, target: Tensor) -> Tensor:
    """The gradient with negative parts dropped at each ReLU (Springenberg et al. 2015, 1412.6806).

    Sharp images, but Adebayo et al. (2018, arXiv:1810.03292) found that they hardly depend on
    what the network learned: shown here to be checked, not believed.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
        return GuidedBackprop(model).attribute(inputs, target)


def edges_alone(model: nn.Module, inputs: Tensor, target: Tensor) -> Tensor:
    """No attribution but a planted fault: the edges of the image, whatever the network is."""
    edges = torch.as_tensor(edge_strength(inputs.detach().mean(1).cpu().numpy()))
    return edges[:, None].expand_as(inputs).to(inputs) / inputs.shape[1]


# (model, inputs (B, C, H, W), target (B,), **options) -> (B, C, H, W)
METHODS: dict[str, Callable[..., Tensor]] = {
    "gradient": gradient,
    "SmoothGrad": smoothgrad,
    "Integrated Gradients": integrated_gradients,
    "Grad-CAM": grad_cam,
    "guided backprop": guided_backprop,
}
PLANTED: dict[str, Callable[..., Tensor]] = {"edges alone": edges_alone}  # for checks to catch
# Positive values speak for the target. The others are sensitivities: the sign says whether
# brighter or darker helps, and only the size says how much a pixel matters.
CONTRIBUTIONS = ("Integrated Gradients", "Grad-CAM")


def attribute(method: str, network, inputs: Tensor, target, **options) -> Tensor:
    """The attribution called `method` (a name in METHODS or PLANTED): the inputs' shape.

    target : a class or (B,) classes
    """
    found = {**METHODS, **PLANTED}
    if method not in found:
        raise UserError(f"attribution {method!r}: choose one of {', '.join(METHODS)}")
    inputs = inputs.detach().clone().requires_grad_(True)
    target = torch.as_tensor(target, dtype=torch.long, device=inputs.device).expand(len(inputs))
    return found[method](frozen_copy(network), inputs, target, **options).detach().to(inputs.dtype)


def attribute_all(
    network,
    inputs: Tensor,
    target,
    *,
    methods: Iterable[str] = tuple(METHODS),
    options: Mapping[str, dict] | None = None,
    batch: int = 64,
    smooth: float = SMOOTH,
) -> dict[str, np.ndarray]:
    """method -> (N, H, W) float32 signed maps of many images, channels summed.

    A pixel's value next to its neighbour's is the high-frequency noise of strided convolutions; a
    decision depends on spots. So maps are read under a Gaussian of `smooth` pixels (0: as they
    are), which keeps their sum: contributions still add up.

    options : method -> its keyword options, e.g. {"SmoothGrad": {"samples": 8}}
    """
    target = torch.as_tensor(target).expand(len(inputs))
    found = {}
    for name in methods:
        extra, parts = (options or {}).get(name, {}), []
        for x, wanted in zip(inputs.split(batch), target.split(batch), strict=True):
            parts.append(attribute(name, network, x, wanted, **extra).sum(1).float().cpu().numpy())
        maps = np.concatenate(parts)
        found[name] = gaussian_filter(maps, sigma=(0, smooth, smooth)) if smooth else maps
    return found


def importance(method: str, maps: np.ndarray) -> np.ndarray:
    """Signed maps -> how much each pixel matters, >= 0: what speaks for the target, or the size."""
    return maps.clip(min=0) if method in CONTRIBUTIONS else np.abs(maps)


def relative(maps: np.ndarray) -> np.ndarray:
    """(N, H, W) over their mean absolute value: the one unit in which methods compare.

    1 is what an even map has everywhere; an empty map stays empty.
    """
    size = np.abs(maps).mean((1, 2), keepdims=True)
    return np.divide(maps, size, out=np.zeros_like(maps), where=size > 0)


def completeness_error(network, inputs: Tensor, target, maps: np.ndarray) -> np.ndarray:
    """(N,) |sum of the map - (logit(image) - logit(even grey))| as a share of that difference.

    maps : (N, H, W) of Integrated Gradients with its default baseline
    """
    model = frozen_copy(network)
    target = torch.as_tensor(target, device=inputs.device).expand(len(inputs))[:, None]
    with torch.no_grad():
        rise = (model(inputs).gather(1, target) - model(inputs * 0).gather(1, target))[:, 0]
    rise = rise.cpu().numpy()
    return np.abs(maps.sum((1, 2)) - rise) / np.maximum(np.abs(rise), 1e-12)


def last_map(network, inputs: Tensor) -> str:
    """Name of the last ReLU or convolution whose maps are 6 pixels wide or more, for Grad-CAM.

    The very last maps of these networks have 3 x 3 pixels: too few to tell an eye from a mouth.
    Where no layer has such maps it is the last one wider than a pixel.
    """
    wide = {
        layer.name: min(layer.shape[1:])
        for layer in layers(network, inputs.detach())
        if isinstance(layer.module, (nn.ReLU, nn.Conv2d)) and len(layer.shape) == 3
    }
    found = [n for n, w in wide.items() if w >= 6] or [n for n, w in wide.items() if w > 1]
    if not found:
        raise UserError("Grad-CAM: the network has no convolution with maps wider than a pixel")
    return found[-1]


def edge_strength(images: np.ndarray) -> np.ndarray:
    """(N, H, W) grey values -> (N, H, W) float32 size of Sobel's gradient, slightly blurred."""
    smooth = gaussian_filter(np.asarray(images, np.float32), sigma=(0, 1, 1))
    return np.hypot(sobel(smooth, axis=1), sobel(smooth, axis=2))


def class_means(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """(N, ...) -> (7, ...) mean of each class; NaN for a class without images."""
    means = np.full((len(CLASSES), *values.shape[1:]), np.nan)
    for c in np.unique(classes):
        means[c] = values[classes == c].mean(0)
    return means


def examples(probabilities: np.ndarray, labels: np.ndarray, *, right: bool) -> list[int]:
    """For each class the most confident prediction that is right, or wrong: one row a class.

    probabilities : (n, 7);  labels : (n,) true classes; a class without such an image is left out
    """
    confidence, predicted = probabilities.max(1), probabilities.argmax(1)
    wanted = (predicted == labels) == right
    rows = [np.flatnonzero(wanted & (labels == c)) for c in range(probabilities.shape[1])]
    return [int(r[confidence[r].argmax()]) for r in rows if len(r)]


def spread_over_classes(labels: np.ndarray, count: int) -> np.ndarray:
    """The first rows of each class in turn, `count` at most, in rising order."""
    turns = pd.Series(labels).groupby(labels).cumcount().to_numpy()
    return np.sort(np.argsort(turns, kind="stable")[:count])
