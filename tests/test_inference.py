"""One way from pictures to logits: the same after saving, elsewhere, and from every layout."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hw3lib import UserError
from hw3lib.inference import Network, load_network, logits, save_network, views_of
from hw3lib.packing import unpack
from hw3lib.scoring import evaluate_network, predict_faces, write_predictions


def test_reloaded_logits_are_bit_identical(run, folds):
    again = logits(run.network(), folds.take("validation").images)
    assert np.array_equal(again, run.logits("validation"))
    assert np.array_equal(run.labels("test"), folds.take("test").labels)


def test_a_fresh_process_gives_the_same_bits(run, faces, tmp_path):
    np.savez(tmp_path / "faces.npz", images=faces.images, labels=faces.labels)
    code = (
        "import sys, numpy as np; from hw3lib.inference import load_network, logits;"
        "images = np.load(sys.argv[2])['images']; import torch; torch.set_num_threads(1);"
        "np.save(sys.argv[3], logits(load_network(sys.argv[1]), images))"
    )
    out = tmp_path / "out.npy"
    arguments = [str(run.path), str(tmp_path / "faces.npz"), str(out)]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)
    assert np.array_equal(np.load(out), logits(run.network(), faces.images))


def test_batch_size_changes_nothing_that_matters(run, faces):
    network = run.network()
    one, many = (logits(network, faces.images, batch_size=b) for b in (7, 256))
    assert np.abs(one - many).max() < 1e-5


def test_the_order_of_pictures_does_not_matter(run, faces):
    """Batch norm in training mode would fail here: its output depends on the batch."""
    network = run.network()
    order = np.argsort(faces.labels, kind="stable")
    before = logits(network, faces.images)
    for training in (False, True):  # a model left in training mode is no exception
        network.model.train(training)
        assert np.abs(before[order] - logits(network, faces.images[order])).max() < 1e-5


@pytest.mark.parametrize("wrong", [np.float32, np.int64, np.int8])
def test_other_dtypes_are_refused(run, wrong):
    with pytest.raises(TypeError, match="uint8"):
        logits(run.network(), np.zeros((2, 48, 48), wrong))


@pytest.mark.parametrize("shape", [(2, 48, 47), (2, 1, 48, 48), (48, 48)])
def test_other_shapes_are_refused(run, shape):
    with pytest.raises(ValueError, match="48"):
        logits(run.network(), np.zeros(shape, np.uint8))


def test_views_and_ensembles_average_probabilities(run, faces):
    from scipy.special import softmax

    network, images = run.network(), faces.images[:20]
    one = softmax(logits(network, images), axis=1)
    mirrored = softmax(logits(network, np.ascontiguousarray(images[:, :, ::-1])), axis=1)
    both = softmax(logits(network, images, views="flip"), axis=1)
    assert np.allclose(both, (one + mirrored) / 2, atol=1e-6)
    pair = softmax(logits([network, network], images), axis=1)
    assert np.allclose(pair, one, atol=1e-6)
    assert len(views_of(torch.zeros(1, 1, 48, 48), "ten")) == 10
    with pytest.raises(UserError, match="views"):
        logits(network, images, views="twelve")


def test_half_precision_keeps_the_answers(run, faces, tmp_path):
    network = run.network()
    save_network(tmp_path / "half.safetensors", network, half=True)
    half = load_network(tmp_path / "half.safetensors")
    assert np.abs(logits(half, faces.images) - logits(network, faces.images)).max() < 0.05
    assert (tmp_path / "half.safetensors").stat().st_size < 0.6 * (
        run.path / "weights.safetensors"
    ).stat().st_size


def test_weights_of_another_class_order_or_format_are_refused(run, tmp_path):
    from safetensors.torch import load_file, save_file

    network = run.network()
    file = tmp_path / "x.safetensors"
    save_network(file, Network(network.model, 0.5, 0.2, 1, network.classes[::-1], network.metadata))
    with pytest.raises(UserError, match="classes"):
        load_network(file)
    save_file(load_file(run.path / "weights.safetensors"), file)
    with pytest.raises(UserError, match="not written by hw3"):
        load_network(file)
    file.write_bytes((run.path / "weights.safetensors").read_bytes()[:5000])
    with pytest.raises(UserError, match="not a whole safetensors"):
        load_network(file)
    with pytest.raises(UserError, match="no such weights"):
        load_network(tmp_path / "missing")


def test_loading_is_strict(run, tmp_path):
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    source = run.path / "weights.safetensors"
    with safe_open(source, framework="pt") as opened:
        header = {k: v for k, v in opened.metadata().items() if k != "check"}
    state = load_file(source)
    state.pop("fc.weight")
    save_file(state, tmp_path / "x.safetensors", metadata=header)
    with pytest.raises(UserError, match="do not fit"):
        load_network(tmp_path / "x.safetensors")


def test_evaluate_counts_by_hand(run, faces):
    facts = evaluate_network(run.network(), faces)
    right = logits(run.network(), faces.images[180:]).argmax(1) == faces.labels[180:]
    assert facts["split"] == "test" and facts["n"] == 60
    assert facts["accuracy"] == pytest.approx(right.mean())
    for kind in ("exact", "near"):
        assert facts[f"n_without_{kind}_copies"] == 48
        assert facts[f"accuracy_without_{kind}_copies"] == pytest.approx(right[:48].mean())
    with pytest.raises(UserError, match="no labelled"):
        evaluate_network(run.network(), faces, split="private")


def test_predictions_are_sorted_by_number_and_follow_their_pictures(run, faces, tmp_path):
    from dataclasses import replace

    numbered = replace(faces, ids=np.array([str(i) for i in range(len(faces))]))
    shuffled = numbered.subset(np.random.default_rng(2).permutation(len(faces)))
    ids, probabilities = predict_faces(run.network(), shuffled)
    assert ids.tolist() == [str(i) for i in range(len(faces))]
    assert np.array_equal(probabilities.argmax(1), logits(run.network(), faces.images).argmax(1))
    write_predictions(tmp_path / "p.csv", ids, probabilities.argmax(1))
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[0] == "id,label" and len(lines) == len(faces) + 1 and lines[3].startswith("2,")
    with pytest.raises(UserError, match="does not exist"):
        write_predictions(tmp_path / "no" / "p.csv", ids, probabilities.argmax(1))
    for odd in (tmp_path, Path(".")):
        with pytest.raises(UserError, match="no regular file"):
            write_predictions(odd, ids, probabilities.argmax(1))


def test_a_file_that_is_no_archive_gives_one_line(tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(b"PK" + bytes(2000))
    with pytest.raises(UserError, match="pack it again") as caught:
        unpack(tmp_path / "x.tar.gz", tmp_path / "runs")
    assert "\n" not in str(caught.value)


def hw3(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "hw3lib.cli", *arguments], capture_output=True, text=True
    )


def test_command_line(run, faces, tmp_path):
    np.savez(tmp_path / "f.npz", images=faces.images, labels=faces.labels, ids=faces.ids)
    done = hw3("evaluate", str(run.path), "--data", str(tmp_path / "f.npz"), "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    right = logits(run.network(), faces.images).argmax(1) == faces.labels
    assert facts["accuracy"] == pytest.approx(right.mean()) and facts["n"] == 240
    out = tmp_path / "p.csv"
    done = hw3("predict", str(run.path), "--data", str(tmp_path / "f.npz"), "--out", str(out))
    assert done.returncode == 0 and out.read_text().startswith("id,label\n00000,")
    for arguments in (
        ("evaluate", "nothing", "--data", str(tmp_path / "f.npz")),
        ("predict", str(run.path), "--data", str(tmp_path / "missing"), "--out", str(out)),
        ("train", "--profile", "nothing"),
        ("evaluate",),
        ("report", "--jobs", "x"),
        ("nothing",),
        (),
    ):
        done = hw3(*arguments)
        assert done.returncode == 2 and done.stdout == ""
        assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("hw3: ")
