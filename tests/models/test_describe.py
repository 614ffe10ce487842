"""Layer tables and traces against torch's own counter, autograd and the models themselves."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.feature_extraction import create_feature_extractor

from hw3lib.models import MODELS, build, count_parameters
from hw3lib.models.describe import layer_table, main_path, trace, unit_table

NAMES = list(MODELS)
SMALL = 0.125


@pytest.mark.parametrize("name", NAMES)
def test_macs_are_half_of_torchs_own_count_of_operations(name):
    model = build(name, width=0.25).eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(torch.zeros(1, 1, 48, 48))
    assert 2 * layer_table(model)["MACs"].sum() == counter.get_total_flops()


@pytest.mark.parametrize("name", NAMES)
def test_layer_table_holds_every_layer_once_with_its_shape(name):
    model = build(name, width=SMALL).eval()
    frame = layer_table(model)
    leaves = [n for n, m in model.named_modules() if not any(m.children())]
    assert sorted(frame["layer"]) == sorted(leaves)
    assert frame["parameters"].sum() == count_parameters(model)
    outputs = create_feature_extractor(model, leaves)(torch.zeros(1, 1, 48, 48))
    said = [" × ".join(map(str, outputs[layer].shape[1:])) for layer in frame["layer"]]
    assert list(frame["output shape"]) == said and said[-1] == "7"


def test_layer_table_knows_kernels_and_strides():
    kinds = layer_table(build("resnet18", width=SMALL)).set_index("layer")["kind"]
    assert kinds["conv1"] == "Conv 7×7 /2" and kinds["maxpool"] == "MaxPool 3×3 /2"
    assert kinds["layer4.0.downsample.0"] == "Conv 1×1 /2" and kinds["avgpool"] == "GlobalAvgPool"


def widest(model: nn.Module, layer: str, side: int) -> int:
    """Rows of a large image with a gradient from one unit in the middle of the layer's map."""
    model = copy.deepcopy(model).double().eval()
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):  # whose gradient reaches the largest pixel alone
                mean = nn.AvgPool2d(child.kernel_size, child.stride, child.padding)
                setattr(module, name, mean)
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
        if isinstance(module, nn.BatchNorm2d):  # those at zero would hide a block
            nn.init.ones_(module.weight)
    image = torch.ones(1, 1, side, side, dtype=torch.double, requires_grad=True)
    maps = create_feature_extractor(model, {layer: "out"})(image)["out"]
    maps[0, 0, maps.shape[2] // 2, maps.shape[3] // 2].backward()
    return int((image.grad[0, 0] != 0).any(dim=1).sum())


@pytest.mark.parametrize("name", [n for n in NAMES if n != "dense"])
def test_receptive_fields_are_the_support_of_the_gradient(name):
    model = build(name, width=SMALL)
    frame = layer_table(model)
    convolutions = frame[frame["kind"].str.startswith("Conv")]
    for row in (convolutions.iloc[0], convolutions.iloc[-1]):
        field = row["receptive field"]
        assert widest(model, row["layer"], field + 64) == field, row["layer"]
    assert frame["receptive field"].iloc[-1] >= 48


def test_describing_leaves_the_model_as_it_was_even_on_failure():
    model = build("five_block", width=SMALL)
    model.blocks[0].eval()
    modes = [m.training for m in model.modules()]
    state = {n: t.clone() for n, t in model.state_dict().items()}
    layer_table(model), trace(model)
    with pytest.raises(RuntimeError):
        layer_table(model, in_channels=2)
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(t, state[n]) for n, t in model.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_trace_adds_up_and_ends_in_the_logits(name):
    model = build(name, width=0.25)
    units = trace(model)
    assert sum(u.parameters for u in units) == count_parameters(model)
    assert units[0].shape == (1, 48, 48) and units[-1].shape == (7,)
    read = {j for u in units for j in u.inputs}
    assert read == set(range(len(units) - 1))  # nothing but the logits is left unread
    frame = unit_table(model)
    assert len(frame) == len(units) and frame["MACs"].sum() == layer_table(model)["MACs"].sum()


def test_trace_finds_the_shortcuts_of_the_residual_networks():
    units = trace(build("resnet18", width=SMALL))
    joins = [u for u in units if len(u.inputs) == 2]
    assert len(joins) == 8 and all(u.ops == ("+", "ReLU") for u in joins)
    on_shortcuts = [units[i].ops for i in range(len(units)) if i not in main_path(units)]
    assert on_shortcuts == [("Conv 1×1 /2", "BatchNorm")] * 3
    assert not [u for u in trace(build("five_block", width=SMALL)) if len(u.inputs) > 1]


def test_five_block_is_as_its_report_describes_it():
    units = trace(build("five_block"))[1:6]
    kinds = [tuple(op.split()[0] for op in u.ops) for u in units]
    plain = ("Conv", "ReLU", "BatchNorm", "Dropout")
    assert kinds == [plain] * 2 + [("Conv", "ReLU", "BatchNorm", "MaxPool", "Dropout")] * 3
    assert [u.ops[0] for u in units] == ["Conv 5×5"] * 2 + ["Conv 3×3"] * 3
    assert [u.shape[1] for u in units] == [48, 48, 24, 12, 6]
    rates = [float(u.ops[-1].split()[1]) for u in units]
    assert max(rates[:2]) < min(rates[2:])
