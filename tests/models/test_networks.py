"""The networks against torchvision and the reference reports' descriptions."""

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from hw3lib import UserError
from hw3lib.models import MODELS, build, count_parameters
from hw3lib.models.networks import VGG16, build_empty, scaled

NAMES = list(MODELS)
SMALL = 0.125


def shapes(model: nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in model.state_dict().items()}


def same_layer_by_layer(ours: nn.Module, theirs: nn.Module, layers: list[str]) -> None:
    """With the same weights, drawn at random, both give the same maps at every layer."""
    state = {n: torch.randn(s) * 0.05 for n, s in shapes(ours).items()}
    state = {n: w.abs() + 0.5 if "var" in n else w for n, w in state.items()}
    x = torch.randn(1, 3, 48, 48)
    outputs = []
    for model in (ours, theirs):
        model.load_state_dict(state, assign=True)
        outputs.append(create_feature_extractor(model.eval(), layers)(x))
    for layer in layers:
        torch.testing.assert_close(outputs[0][layer], outputs[1][layer], msg=layer)


def test_resnet18_is_torchvisions():
    ours, theirs = build("resnet18", in_channels=3), torchvision.models.resnet18(num_classes=7)
    assert shapes(ours) == shapes(theirs)
    assert count_parameters(ours) == 11_689_512 - 993 * 513  # published, 1000 - 7 classes
    blocks = [f"layer{i}.{j}" for i in range(1, 5) for j in range(2)]
    same_layer_by_layer(ours, theirs, ["conv1", "relu", "maxpool", *blocks, "avgpool", "fc"])


def test_vgg16_is_torchvisions():
    with torch.device("meta"):
        ours = VGG16(in_channels=3, pool=7, hidden=4096)
        theirs = torchvision.models.vgg16_bn(num_classes=7)
    assert shapes(ours) == shapes(theirs)
    assert count_parameters(ours) == 138_365_992 - 993 * 4097  # published, 1000 - 7 classes
    small = shapes(build_empty("vgg16", in_channels=3))
    assert {n: s for n, s in small.items() if "features" in n} == {
        n: s for n, s in shapes(theirs).items() if "features" in n
    }
    # their ReLU overwrites what the batch norm or linear layer before it gave
    features = [f"features.{i}" for i, m in enumerate(ours.features)
                if not isinstance(m, nn.BatchNorm2d)]  # fmt: skip
    same_layer_by_layer(ours, theirs, [*features, "avgpool", "classifier.1", "classifier.6"])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_images_become_seven_logits_and_training_reaches_every_parameter(name, channels):
    model = build(name, width=SMALL, in_channels=channels)
    out = model(torch.randn(8, channels, 48, 48))
    assert out.shape == (8, 7) and torch.isfinite(out).all()
    nn.functional.cross_entropy(out, torch.arange(8) % 7).backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_relus_are_modules_used_once_and_not_in_place(name):
    graph = torch.fx.symbolic_trace(build(name, width=SMALL))
    relus = {n: m for n, m in graph.named_modules() if isinstance(m, nn.ReLU)}
    used = [n.target for n in graph.graph.nodes if n.op == "call_module" and n.target in relus]
    assert sorted(used) == sorted(relus) and not any(m.inplace for m in relus.values())
    assert not [n for n in graph.graph.nodes if "relu" in n.name and n.op == "call_function"]


def test_our_networks_start_as_identities_and_the_fine_one_keeps_finer_maps():
    slim, fine = build("slim_resnet").eval(), build("fine_resnet").eval()
    x = torch.rand(2, 64, 12, 12)
    for model in (slim, fine):
        torch.testing.assert_close(model.stage1(x), x)  # x >= 0: the last ReLU changes nothing
    image = torch.zeros(1, 1, 48, 48)
    assert (slim.stem(image).shape[-1], fine.stem(image).shape[-1]) == (12, 24)
    assert 1.0e6 < count_parameters(slim) < 1.5e6
    own = {n for n in shapes(fine) if n.startswith("stage1.1.")}
    assert shapes(slim) == {n: s for n, s in shapes(fine).items() if n not in own}


@pytest.mark.parametrize("name", NAMES)
def test_width_scales_the_network(name):
    counts = [count_parameters(build_empty(name, width=w)) for w in (0.25, 0.5, 1.0)]
    assert counts == sorted(set(counts))
    assert [scaled(64, w) for w in (1.0, 0.5, 0.25, 0.01)] == [64, 32, 16, 8]


@pytest.mark.parametrize("width", [0.125, 0.5, 1.0])
def test_dense_has_the_parameters_of_slim_resnet(width):
    dense, rival = build("dense", width=width), build("slim_resnet", width=width)
    one_unit_more = 2304 + 2 * dense.layers[1].out_features + 12
    assert abs(count_parameters(dense) - count_parameters(rival)) <= one_unit_more / 2 + 1


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_the_weights_and_an_empty_network_draws_none(name):
    def drawn(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        return build(name, width=SMALL).state_dict()

    first, again, other = drawn(0), drawn(0), drawn(1)
    state = torch.get_rng_state()
    empty = build_empty(name, width=SMALL)
    assert torch.equal(state, torch.get_rng_state())
    assert shapes(empty) == {n: t.shape for n, t in first.items()}
    assert all(t.is_meta for t in empty.state_dict().values())
    assert all(torch.equal(first[n], again[n]) for n in first)
    assert not all(torch.equal(first[n], other[n]) for n in first)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [({"name": "resnet50"}, "choose one of resnet18"), ({"name": "vgg16", "width": 0}, "above 0")],
)
def test_bad_names_and_widths_give_one_line(arguments, line):
    with pytest.raises(UserError, match=line) as caught:
        build(**arguments)
    assert "\n" not in str(caught.value)
