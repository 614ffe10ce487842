"""The networks against torchvision, torch's own counter, and the hand-ins' descriptions."""

import pandas as pd
import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hw3lib import UserError
from hw3lib.models import (
    MODELS,
    VGG16,
    build,
    count_parameters,
    describe,
    matched_dense,
    multiply_adds,
    scaled,
    summarise,
    trace,
    training_step,
)
from hw3lib.models.choices import CHOICES, TITLES
from hw3lib.models.trace import main_path
from hw3lib.plotting import diagram, history
from hw3lib.text import Text, language

torch.set_num_threads(1)
NAMES = list(MODELS)
SMALL = 0.125


def shapes(model: nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in model.state_dict().items()}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_every_network_maps_pictures_to_seven_logits(name, channels):
    model = build(name, width=SMALL, in_channels=channels).eval()
    x = torch.randn(2, channels, 48, 48)
    assert model(x).shape == (2, 7)
    assert torch.isfinite(model(x)).all()


@pytest.mark.parametrize("name", NAMES)
def test_training_reaches_every_parameter(name):
    model = build(name, width=SMALL)
    nn.functional.cross_entropy(model(torch.randn(8, 1, 48, 48)), torch.arange(8) % 7).backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_relus_are_modules_used_once_and_not_in_place(name):
    model = build(name, width=SMALL)
    calls: dict[str, int] = {}
    relus = {n: m for n, m in model.named_modules() if isinstance(m, nn.ReLU)}
    for n, m in relus.items():
        assert not m.inplace
        m.register_forward_hook(lambda *_, n=n: calls.update({n: calls.get(n, 0) + 1}))
    model.eval()(torch.zeros(1, 1, 48, 48))
    assert calls == dict.fromkeys(relus, 1)
    functional = {"relu", "relu_"} & {n.name for n in torch.fx.symbolic_trace(model).graph.nodes
                                      if n.op == "call_function"}  # fmt: skip
    assert not functional


def test_resnet18_is_torchvisions():
    ours = build("resnet18", in_channels=3).eval()
    theirs = torchvision.models.resnet18(num_classes=7).eval()
    assert shapes(ours) == shapes(theirs)
    x = torch.randn(2, 3, 48, 48)
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(x), theirs(x))
    fresh = build("resnet18", in_channels=3).eval()
    theirs.load_state_dict(fresh.state_dict())
    torch.testing.assert_close(fresh(x), theirs(x))


def test_resnet18_has_torchvisions_shapes_but_for_the_thousand_classes():
    ours = shapes(build("resnet18", in_channels=3))
    theirs = shapes(torchvision.models.resnet18())
    differing = {n for n in theirs if ours[n] != theirs[n]}
    assert ours.keys() == theirs.keys()
    assert differing == {"fc.weight", "fc.bias"}
    published = 11_689_512  # with 1000 classes
    assert count_parameters(build("resnet18", in_channels=3)) == published - 993 * 513


def test_vgg16_is_torchvisions():
    with torch.device("meta"):
        ours = VGG16(in_channels=3, pool=7, hidden=4096).eval()
        theirs = torchvision.models.vgg16_bn(num_classes=7).eval()
        assert shapes(ours) == shapes(theirs)
        assert count_parameters(ours) == 138_365_992 - 993 * 4097  # published, 1000 - 7 classes
    weights = {n: torch.randn(s) * 0.02 for n, s in shapes(ours).items()}
    weights = {n: w.abs() + 0.5 if "var" in n else w for n, w in weights.items()}
    x = torch.randn(1, 3, 48, 48)
    outputs = []
    for model in (ours, theirs):
        model.load_state_dict(weights, assign=True)
        outputs.append(model(x))
    torch.testing.assert_close(*outputs)


def test_our_small_vgg16_has_torchvisions_features():
    ours = {n: s for n, s in shapes(build("vgg16", in_channels=3)).items() if "features" in n}
    with torch.device("meta"):
        theirs = shapes(torchvision.models.vgg16_bn())
    assert ours == {n: s for n, s in theirs.items() if "features" in n}


@pytest.mark.parametrize("name", NAMES)
def test_multiply_adds_are_torchs_own_count(name):
    model = build(name, width=0.25).eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(torch.zeros(1, 1, 48, 48))
    assert 2 * multiply_adds(model) == counter.get_total_flops()


@pytest.mark.parametrize("name", NAMES)
def test_layer_table_holds_every_parameter_once(name):
    model = build(name, width=SMALL)
    frame = describe(model)
    leaves = [n for n, m in model.named_modules() if not any(m.children())]
    assert sorted(frame["layer"]) == sorted(leaves)
    assert frame["parameters"].sum() == count_parameters(model)
    assert list(frame["output shape"])[-1] == "7"


def test_layer_table_knows_kernels_strides_and_shapes():
    frame = describe(build("resnet18")).set_index("layer")
    assert frame.loc["conv1", ["kind", "output shape"]].tolist() == ["Conv 7×7 /2", "64 × 24 × 24"]
    assert frame.loc["maxpool", "output shape"] == "64 × 12 × 12"
    assert frame.loc["conv1", "multiply-adds"] == 64 * 24 * 24 * 7 * 7
    assert frame.loc["layer4.0.downsample.0", "kind"] == "Conv 1×1 /2"


def test_describing_leaves_no_trace_even_on_failure():
    model = build("five_block", width=SMALL)
    model.blocks[0].eval()
    modes = [m.training for m in model.modules()]

    def untouched() -> bool:
        return [m.training for m in model.modules()] == modes and not any(
            m._forward_hooks for m in model.modules()
        )

    describe(model), trace(model)
    assert untouched()
    with pytest.raises(RuntimeError):
        describe(model, in_channels=2)
    assert untouched()


@pytest.mark.parametrize("name", NAMES)
def test_trace_adds_up_and_ends_in_the_logits(name):
    model = build(name, width=0.25)
    units = trace(model)
    assert sum(u.parameters for u in units) == count_parameters(model)
    assert sum(u.multiply_adds for u in units) == multiply_adds(model)
    assert units[0].shape == (1, 48, 48) and units[-1].shape == (7,)
    assert len(summarise(model)) == len(units)
    read = {j for u in units for j in u.inputs}
    assert read == set(range(len(units) - 1))  # nothing but the logits is left unread


def test_trace_finds_the_skips_of_the_residual_networks():
    units = trace(build("resnet18", width=SMALL))
    joins = [u for u in units if len(u.inputs) == 2]
    assert len(joins) == 8 and all(u.ops == ("+", "ReLU") for u in joins)
    on_shortcuts = [units[i].ops for i in range(len(units)) if i not in main_path(units)]
    assert on_shortcuts == [("Conv 1×1 /2", "BatchNorm")] * 3
    assert not [u for u in trace(build("five_block", width=SMALL)) if len(u.inputs) > 1]


def test_five_block_is_as_the_hand_in_describes_it():
    units = trace(build("five_block"))[1:6]
    kinds = [tuple(op.split()[0] for op in u.ops) for u in units]
    plain = ("Conv", "ReLU", "BatchNorm", "Dropout")
    assert kinds == [plain] * 2 + [("Conv", "ReLU", "BatchNorm", "MaxPool", "Dropout")] * 3
    assert [u.ops[0] for u in units] == ["Conv 5×5"] * 2 + ["Conv 3×3"] * 3
    assert [u.shape[1] for u in units] == [48, 48, 24, 12, 6]
    rates = [float(u.ops[-1].split()[1]) for u in units]
    assert max(rates[:2]) < min(rates[2:])


def test_slim_network_is_slim_and_starts_as_identities():
    model = build("slim_resnet").eval()
    assert 1.0e6 < count_parameters(model) < 1.5e6
    assert 25e6 < multiply_adds(model) < 45e6
    x = torch.rand(2, 64, 12, 12)
    torch.testing.assert_close(model.stage1(x), x)  # x >= 0, so the last ReLU changes nothing


@pytest.mark.parametrize("name", NAMES)
def test_width_scales_the_network(name):
    counts = [count_parameters(build(name, width=w)) for w in (0.25, 0.5, 1.0)]
    assert counts == sorted(set(counts))
    assert [scaled(64, w) for w in (1.0, 0.5, 0.25, 0.01)] == [64, 32, 16, 8]


@pytest.mark.parametrize("parameters", [30_000, 400_000, 1_252_199])
def test_dense_matches_a_parameter_count(parameters):
    model = matched_dense(parameters)
    hidden = model.layers[1].out_features
    step = 2304 + 2 * hidden + 12  # parameters of one hidden unit more
    assert abs(count_parameters(model) - parameters) <= step / 2 + 1
    rival = count_parameters(build("slim_resnet"))
    assert abs(count_parameters(build("dense")) - rival) < 0.01 * rival


def test_same_seed_gives_the_same_weights():
    first, second, other = (
        torch.manual_seed(seed) and build("slim_resnet", width=0.25).state_dict()
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[n], second[n]) for n in first)
    assert not torch.equal(first["fc.weight"], other["fc.weight"])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [({"name": "resnet50"}, "choose one of resnet18"), ({"name": "vgg16", "width": 0}, "above 0")],
)
def test_bad_names_and_widths_give_one_line(arguments, line):
    with pytest.raises(UserError, match=line) as caught:
        build(**arguments)
    assert "\n" not in str(caught.value)


def test_every_network_gives_its_reasons():
    assert set(CHOICES) == set(TITLES) == set(MODELS)
    for choices in CHOICES.values():
        assert any(c.ours for c in choices)
        for c in choices:
            assert all(t.zh and t.en for t in (c.module, c.value, c.source, c.reason))


@pytest.mark.parametrize("name", NAMES)
def test_diagram_shows_every_unit_inside_an_a4_page(name):
    import matplotlib.pyplot as plt

    model = build(name)
    with language("en"):
        fig = diagram.block_diagram(model)
    (ax,) = fig.axes
    width, height = fig.get_size_inches()
    assert width <= 6.8 and height <= 9.5
    fig.canvas.draw()
    whole = ax.get_window_extent()
    texts = [t for t in ax.texts if t.get_text()]
    for text in texts:
        box = text.get_window_extent()
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1, text.get_text()
        assert whole.y0 <= box.y0 and box.y1 <= whole.y1, text.get_text()
    written = "\n".join(t.get_text() for t in texts)
    for unit in trace(model):
        assert unit.ops == ("input",) or unit.ops[0].replace(" /", "/") in written
    assert written.count("\n") + 1 >= len(trace(model))
    plt.close(fig)


def test_training_step_moves_the_weights():
    model = build("five_block", width=SMALL)
    before = model.blocks[0][0].weight.detach().clone()
    step = training_step(model, batch_size=4)
    assert step.seconds > 0 and 0 < step.loss < 20
    assert not torch.equal(before, model.blocks[0][0].weight)


HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2, 3],
        "train_loss": [1.9, 1.0, 0.2],
        "validation_loss": [1.8, 1.4, 1.7],
        "train_accuracy": [0.2, 0.6, 0.95],
        "validation_accuracy": [0.25, 0.5, 0.49],
    }
)


def test_histories_have_accuracy_on_the_left_and_loss_on_the_right():
    import matplotlib.pyplot as plt

    with language("en"):
        fig = history.histories({Text("甲", "a"): HISTORY, Text("乙", "b"): HISTORY})
    left, right = fig.axes[0], fig.axes[2]
    assert left.get_ylabel() == "accuracy" and fig.axes[3].get_ylabel() == "loss (nats)"
    drawn = {line.get_label(): list(line.get_ydata()) for line in left.lines + right.lines}
    for prefix, name in (("train", "training"), ("validation", "validation")):
        for kind in ("accuracy", "loss"):
            assert drawn[f"{name} {kind}"] == list(HISTORY[f"{prefix}_{kind}"])
    assert left.lines[2].get_xdata()[0] == 2  # the epoch of lowest validation loss
    assert left.get_ylim() == fig.axes[1].get_ylim() and right.get_ylim() == fig.axes[3].get_ylim()
    plt.close(fig)


def test_gaps_are_training_minus_validation_in_points():
    import matplotlib.pyplot as plt

    with language("en"):
        fig = history.gaps({Text("甲", "a"): HISTORY})
    assert fig.axes[0].lines[0].get_ydata() == pytest.approx([-5, 10, 46])
    plt.close(fig)


def test_size_bars_are_in_millions():
    import matplotlib.pyplot as plt

    with language("en"):
        fig = history.size_bars({Text("甲", "a"): (2_000_000, 30_000_000)})
    assert [ax.patches[0].get_width() for ax in fig.axes] == [2.0, 30.0]
    plt.close(fig)
