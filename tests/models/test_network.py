"""One way from images to logits: the same after saving, elsewhere, and in any order."""

from __future__ import annotations

import csv
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile import weights
from hostile.weights import entry, recipe
from scipy.special import softmax

from hw3lib import UserError
from hw3lib.data.faces import CLASSES
from hw3lib.models import build
from hw3lib.models.network import (
    Network,
    evaluate,
    evaluate_test,
    load_network,
    logits,
    predict,
    save_network,
    write_predictions,
)


def drawn(seed: int, **options) -> Network:
    """A network whose batch norms are no identities."""
    torch.manual_seed(seed)
    model = build("slim_resnet", width=0.25)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point() and value.ndim == 1:
                value.uniform_(0.5, 1.5)
    recipe = {"model": "slim_resnet", "width": 0.25}
    return Network(model, 0.5, 0.25, metadata={"recipe": recipe}, **options)


@pytest.fixture(scope="module")
def network() -> Network:
    return drawn(0)


def test_logits_are_the_models_own_on_standardised_grey(network, faces):
    x = torch.from_numpy(faces.images[:9].astype(np.float64) / 255 - 0.5) / 0.25
    with torch.no_grad():
        expected = network.model(x[:, None].float())
    np.testing.assert_allclose(logits(network, faces.images[:9]), expected, atol=1e-5)
    three = replace(network, model=build("resnet18", width=0.125, in_channels=3), in_channels=3)
    batch = three.prepare(faces.images[:2])
    assert batch.shape == (2, 3, 48, 48) and torch.equal(batch[:, 0], batch[:, 2])
    assert logits(network, faces.images[:0]).shape == (0, 7)


def test_neither_the_batch_nor_the_order_of_images_matters(network, faces):
    """Batch norm in training mode would fail here: its output depends on the batch."""
    before, order = logits(network, faces.images), np.argsort(faces.labels, kind="stable")
    for training in (False, True):  # a model left in training mode is no exception
        network.model.train(training)
        again = logits(network, faces.images[order], batch_size=7)
        assert np.abs(before[order] - again).max() < 1e-4


def test_a_saved_network_gives_the_same_bits_here_and_in_a_fresh_process(run, faces, tmp_path):
    np.savez(tmp_path / "faces.npz", images=faces.images)
    code = (
        "import sys, numpy as np, torch; torch.set_num_threads(1);"
        "from hw3lib.models.network import load_network, logits;"
        "images = np.load(sys.argv[2])['images'];"
        "np.save(sys.argv[3], logits(load_network(sys.argv[1]), images))"
    )
    out = tmp_path / "out.npy"
    arguments = [str(run.path), str(tmp_path / "faces.npz"), str(out)]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)
    expected = logits(run.network(), faces.images)
    assert np.array_equal(np.load(out), expected)
    save_network(tmp_path / "half.safetensors", run.network(), half=True)
    assert np.abs(logits(load_network(tmp_path / "half.safetensors"), faces.images)
                  - expected).max() < 0.05  # fmt: skip


@pytest.mark.parametrize(
    ("images", "error"),
    [(np.zeros((2, 48, 48), kind), TypeError) for kind in (np.float32, np.int64, np.int8)]
    + [
        (np.zeros(shape, np.uint8), ValueError) for shape in ((2, 48, 47), (2, 1, 48, 48), (48, 48))
    ],
)
def test_other_dtypes_and_shapes_are_refused(network, images, error):
    with pytest.raises(error, match="must be"):
        logits(network, images)


def test_views_and_ensembles_average_probabilities(network, faces):
    def probabilities(networks, images, **options) -> np.ndarray:
        return softmax(logits(networks, images, **options).astype(np.float64), axis=1)

    images, other = faces.images[:20], drawn(1)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)), mode="edge")
    corners = [(2, 2), (0, 0), (0, 4), (4, 0), (4, 4)]
    crops = [padded[:, y : y + 48, x : x + 48] for y, x in corners]
    single = [probabilities(network, v) for c in crops for v in (c, c[:, :, ::-1])]
    for views, count in (("one", 1), ("flip", 2), ("ten", 10)):
        mean = np.mean(single[:count], axis=0)
        np.testing.assert_allclose(probabilities(network, images, views=views), mean, atol=1e-5)
    pair = probabilities([network, other], images)
    mean = (single[0] + probabilities(other, images)) / 2
    np.testing.assert_allclose(pair, mean, atol=1e-5)
    with pytest.raises(UserError, match="views"):
        logits(network, images, views="twelve")


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_network(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


def preprocessing(**values: object):
    return entry("preprocessing", {"mean": 0.5, "std": 0.25, "in_channels": 1, **values})


def tensor(change):
    return lambda meta, state: state.update({"fc.weight": change(state["fc.weight"])})


MADE_ON_PURPOSE = [
    ("another class order", entry("classes", CLASSES[::-1]), "classes"),
    ("no class", entry("classes", 7), "classes"),
    ("no JSON", entry("classes", "[x"), "classes missing or no JSON"),
    ("too deep", entry("metadata", "[" * 100_000), "metadata"),
    ("another format", entry("format", "pt"), "hw3-network-1"),
    ("no format", entry("format", None), "hw3-network-1"),
    *((f"no {key}", entry(key, None), key) for key in ("classes", "preprocessing", "metadata")),
    *((f"metadata {v}", entry("metadata", v), "metadata") for v in (7, {}, {"recipe": [1]})),
    *((f"{name} {v}", preprocessing(**{name: v}), f"{name} is")
      for name, values in (("mean", ("x", float("nan"), True)), ("std", (0, None)),
                           ("in_channels", (0, 2, 10**9))) for v in values),
    *((f"width {v}", recipe(width=v), "width") for v in ("x", [1], -1, 0, 10**6, 1e300)),
    *((f"model {v}", recipe(model=v), "model") for v in (["x"], "gpt", "\x1b[2J\n", "os.system")),
    ("a weight less", lambda meta, state: state.pop("fc.weight"), "fc.weight is missing"),
    ("a weight more", lambda meta, state: state.update(more=torch.ones(1)), "more is (1,)"),
    ("another shape", tensor(lambda t: t[None]), "do not fit"),
    ("another width", recipe(width=0.5), "do not fit"),
    ("not a number", tensor(lambda t: t * float("nan")), "fc.weight holds what is not a number"),
    ("infinite", tensor(lambda t: t / 0), "fc.weight holds what is not a number"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), [m[1:] for m in MADE_ON_PURPOSE],
                         ids=[m[0] for m in MADE_ON_PURPOSE])  # fmt: skip
def test_weights_that_cannot_be_meant_are_refused(change, words, tmp_path):
    file = tmp_path / "w.safetensors"
    file.write_bytes(weights.changed(change))
    assert words in refused(file)
    file.write_bytes(weights.changed(lambda meta, state: None))
    assert load_network(file).metadata["recipe"] == weights.RECIPE


def test_damaged_weights_are_refused(tmp_path):
    """Cut anywhere, or with a bit flipped anywhere, also in the header."""
    data, file, chance = weights.whole(), tmp_path / "w.safetensors", random.Random(0)
    for end in (0, 5, 50, len(data) // 2, len(data) - 1):
        file.write_bytes(data[:end])
        assert "copy it again" in refused(file)
    for at in [*chance.sample(range(3000), 60), *chance.sample(range(len(data)), 60)]:
        changed = bytearray(data)
        changed[at] ^= 1 << chance.randrange(8)
        file.write_bytes(changed)
        refused(file)
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert "checksum mismatch" in refused(file)


def test_what_is_not_there_is_told_with_what_is_published(tmp_path):
    line = refused(tmp_path / "missing")
    assert "no such weights file" in line and "best, vgg16" in line


def test_accuracies_are_counted_by_hand(run, folds, faces):
    """The last 12 of 60 test images are copies, 8 others become near copies of training images."""
    group = faces.group.copy()
    group[180:188] = group[:8]
    near = replace(faces, group=group)
    facts = evaluate(run.network(), near)
    right = logits(run.network(), faces.images[180:]).argmax(1) == faces.labels[180:]
    assert facts["split"] == "test"
    for kind, rows in (("", right), ("_without_exact_copies", right[:48]),
                       ("_without_near_copies", right[8:48])):  # fmt: skip
        assert facts[f"n{kind}"] == len(rows)
        assert facts[f"accuracy{kind}"] == pytest.approx(rows.mean())
    told = evaluate_test(run.network(), replace(folds, faces=near))
    assert all(told[f"test_{name}"] == facts[name] for name in facts if name[0] in "an")
    assert "n_without_near_copies" not in evaluate(run.network(), faces, split="train")
    with pytest.raises(UserError, match="no labelled"):
        evaluate(run.network(), faces, split="private")


def test_predictions_are_sorted_by_number_and_follow_their_images(network, faces, tmp_path):
    numbered = replace(faces, ids=np.array([str(i) for i in range(len(faces))]))
    shuffled = numbered.subset(np.random.default_rng(2).permutation(len(faces)))
    ids, probabilities = predict(network, shuffled)
    assert ids.tolist() == [str(i) for i in range(len(faces))]
    expected = softmax(logits(network, faces.images), axis=1)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    write_predictions(tmp_path / "p.csv", ids, probabilities.argmax(1))
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[0] == "id,label" and len(lines) == len(faces) + 1
    assert lines[3] == f"2,{probabilities[2].argmax()}"
    with pytest.raises(UserError, match="does not exist"):
        write_predictions(tmp_path / "no" / "p.csv", ids, probabilities.argmax(1))
    for odd in (tmp_path, Path(".")):
        with pytest.raises(UserError, match="no regular file"):
            write_predictions(odd, ids, probabilities.argmax(1))
    with pytest.raises(UserError, match="no image"):
        predict(network, faces, split="private")


def test_numbers_of_any_length_are_sorted_as_numbers(network, faces):
    ids = np.array(["10", "9" * 30, "2", "002", "1" * 5, "0"])
    found, _ = predict(network, replace(faces.subset(np.arange(6)), ids=ids))
    assert found.tolist() == ["0", "2", "002", "10", "11111", "9" * 30]


@pytest.mark.faults
def test_an_id_is_no_formula_in_a_table(tmp_path):
    formulas = ["=1+1", '=HYPERLINK("http://x","y")', "@SUM(A1)", "+cmd|' /C calc'!A0", "-x", "＝1"]
    plain = ["00012", "-5", "+7.5", "a=b", "小明", "<b>", 'say "x", y']
    ids = np.array([*formulas, *plain])
    marked = write_predictions(tmp_path / "p.csv", ids, np.zeros(len(ids), int))
    with (tmp_path / "p.csv").open(newline="") as lines:
        names = [name for name, _ in csv.reader(lines)][1:]
    assert marked == len(formulas)
    assert names == [*(f"'{formula}" for formula in formulas), *plain]
