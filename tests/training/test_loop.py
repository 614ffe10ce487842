"""The loop against oracles, and its promise: the same bits, whatever kills it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import make_faces

from hw3lib import UserError
from hw3lib.data.split import recut, split_faces
from hw3lib.evaluation.effects import stopped_at
from hw3lib.models.network import logits
from hw3lib.training.checkpoint import read_checkpoint, write_checkpoint
from hw3lib.training.loop import (
    Pictures,
    State,
    arithmetic,
    finished,
    normalization,
    train,
)
from hw3lib.training.recipe import Recipe
from hw3lib.training.runs import checkpoint_of, get_run, open_run, run_path

CPU = torch.device("cpu")


def same_weights(a, b) -> bool:
    a, b = a.model.state_dict(), b.model.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_twice_the_same_bits(recipe, folds):
    first, state = train(recipe, folds, device=CPU)
    again, state2 = train(recipe, folds, device=CPU)
    assert same_weights(first, again)
    for row, row2 in zip(state.history, state2.history, strict=True):
        assert {**row, "seconds": 0} == {**row2, "seconds": 0}
    other, _ = train(replace(recipe, seed=1), folds, device=CPU)
    assert not same_weights(first, other)


@pytest.mark.parametrize("epochs", [1, 3])
def test_resumed_from_a_checkpoint_the_same_bits(recipe, folds, tmp_path, epochs):
    whole, state = train(recipe, folds, device=CPU)
    file = tmp_path / "checkpoint"

    class KilledError(Exception):
        pass

    def stop(now: State) -> None:
        write_checkpoint(file, now, recipe, CPU)
        if len(now.history) == epochs:
            raise KilledError

    with pytest.raises(KilledError):
        train(recipe, folds, device=CPU, after_epoch=stop)
    torch.manual_seed(12345)  # the resumed process has other global random numbers
    resumed, state2 = train(recipe, folds, device=CPU, resume=read_checkpoint(file, recipe, CPU))
    assert same_weights(whole, resumed) and len(state2.history) == recipe.epochs
    losses = [[row["validation_loss"] for row in s.history] for s in (state, state2)]
    assert losses[0] == losses[1]


def test_it_learns(run):
    assert run.history["validation_accuracy"].max() > 0.5  # seven classes, chance is 0.14


def test_early_stopping_waits_patience_epochs_and_keeps_the_best(folds):
    recipe = Recipe(
        model="dense", width=0.25, epochs=60, batch_size=16, optimizer="adam", lr=0.02,
        schedule="constant", patience=3, select="best", precision="fp32",
    )  # fmt: skip
    network, state = train(recipe, folds, device=CPU)
    losses = [row["validation_loss"] for row in state.history]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 3 < 60
    _, whole = train(replace(recipe, patience=0), folds, device=CPU)
    unbroken = [row["validation_loss"] for row in whole.history]
    assert unbroken[: len(losses)] == losses
    assert stopped_at(unbroken, 3) == (state.best_epoch, len(losses))
    from hw3lib.training.loop import score

    assert score(network, Pictures.of(folds, "validation", CPU))[0] == losses[best]


def test_patience_counts_from_the_best_epoch():
    def state(*losses: float) -> State:
        return State({}, {}, {}, {}, [{"validation_loss": x} for x in losses])

    recipe = Recipe(model="x", epochs=9, patience=2, select="best")
    assert not finished(recipe, state(3, 2, 2.5))
    assert finished(recipe, state(3, 2, 2.5, 2.0))  # equal is not lower
    assert not finished(replace(recipe, patience=0), state(3, 4, 5, 6))


def test_normalization_is_the_training_pictures_mean_and_deviation(folds):
    pictures = Pictures.of(folds, "train", CPU)
    mean, std = normalization(Recipe(model="x"), pictures)
    values = pictures.images.double() / 255
    assert mean == pytest.approx(values.mean().item(), abs=1e-12)
    assert std == pytest.approx(values.std(correction=0).item(), abs=1e-12)
    assert normalization(Recipe(model="x", normalize="none"), pictures) == (0.0, 1.0)


def test_training_leaves_the_process_as_it_was(recipe, folds):
    torch.manual_seed(7)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    train(replace(recipe, epochs=1, threads=2), folds, device=CPU)
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads


def test_a_run_is_found_not_trained_again(run, recipe, folds):
    before = (run.path / "record.json").stat().st_mtime_ns
    again = get_run(recipe, folds, root=run.path.parent, progress=False)
    assert again.path == run.path
    assert (run.path / "record.json").stat().st_mtime_ns == before
    assert not list(run.path.parent.glob(".*.checkpoint"))


@pytest.mark.parametrize("name", ["weights.safetensors", "logits.safetensors", "history.csv"])
def test_a_damaged_run_is_refused(run, tmp_path, name):
    import shutil

    copy = tmp_path / run.path.name
    shutil.copytree(run.path, copy)
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(UserError, match=name):
        open_run(copy)


def test_a_recipe_of_other_data_is_refused(recipe, folds, tmp_path):
    with pytest.raises(UserError, match="made for data"):
        get_run(replace(recipe, data="0" * 16), folds, root=tmp_path)


def test_a_run_belongs_to_its_data_whoever_asks(recipe, folds, tmp_path):
    """The same Recipe, its data left open, on other images, another split and another limit."""
    bare = replace(recipe, data="", epochs=1, mixup=0)
    first = get_run(bare, folds, root=tmp_path, progress=False)
    other = split_faces(make_faces(seed=5))
    for asked, on in (
        (bare, other), (bare, recut(folds, "stratified", 3)), (replace(bare, train_limit=60), folds)
    ):  # fmt: skip
        run = get_run(asked, on, root=tmp_path, progress=False)
        assert run.path != first.path and run.recipe.data == on.fingerprint
        assert len(run.labels("validation")) == len(on.validation)
        trained, _ = train(asked, on, device=CPU)
        assert same_weights(run.network(), trained)
    assert get_run(bare, folds, root=tmp_path, progress=False).path == first.path


def test_the_logits_of_every_epoch_stay_where_they_are_asked_for(recipe, folds, tmp_path):
    """Early stopping read off a training at a constant rate: the stopped one is its beginning."""
    full = Recipe(model="dense", width=0.25, epochs=30, batch_size=16, optimizer="adam", lr=0.02,
                  schedule="constant", precision="fp32", ema=0.5)  # fmt: skip
    without = get_run(full, folds, root=tmp_path, progress=False)
    with pytest.raises(UserError, match="no logits of every epoch"):
        without.epoch_logits("test")
    run = get_run(full, folds, root=tmp_path, progress=False, every_epoch=True)
    assert run.path == without.path and same_weights(run.network(), without.network())
    for fold in ("validation", "test"):
        each = run.epoch_logits(fold)
        assert each.shape == (30, len(run.labels(fold)), 7)
        assert np.allclose(each[-1], run.logits(fold), rtol=1e-3, atol=1e-3)
    stopping = replace(full, patience=3, select="best")
    stopped = get_run(stopping, folds, root=tmp_path, progress=False, every_epoch=True)
    kept, n = stopped_at(run.history["validation_loss"], 3)
    assert n < 30 and stopped.record["kept_epoch"] == kept
    columns = [c for c in run.history if c != "seconds"]
    assert stopped.history[columns].equals(run.history[columns].head(n))
    assert np.array_equal(stopped.epoch_logits("test"), run.epoch_logits("test")[:n])
    expected = run.epoch_logits("test")[kept - 1]
    assert np.allclose(stopped.logits("test"), expected, rtol=1e-3, atol=1e-3)


def test_a_checkpoint_without_the_logits_asked_for_is_not_gone_on_from(folds, recipe, tmp_path):
    short = replace(recipe, epochs=2)
    _, state = train(replace(short, epochs=1), folds, device=CPU)
    write_checkpoint(checkpoint_of(run_path(short, tmp_path)), state, short, CPU)
    run = get_run(short, folds, root=tmp_path, progress=False, every_epoch=True)
    assert run.epoch_logits("validation").shape[0] == 2 and not run.record["resumed"]


def test_a_damaged_checkpoint_is_an_error(recipe, folds, tmp_path):
    path = run_path(recipe, tmp_path)
    (tmp_path / f".{path.name}.checkpoint").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="checkpoint"):
        get_run(recipe, folds, root=tmp_path, progress=False)
    assert not path.exists()


def test_packed_runs_serve_elsewhere(run, folds, tmp_path):
    from hw3lib.training.pack import pack, unpack

    pack({"best": run}, tmp_path / "light.tar.gz", weights=lambda name: False)
    pack({"best": run}, tmp_path / "full.tar.gz", weights=lambda name: True)
    light, full = (unpack(tmp_path / f"{n}.tar.gz", tmp_path / n)[0] for n in ("light", "full"))
    assert np.array_equal(open_run(light).logits("test"), run.logits("test"))
    with pytest.raises(UserError, match="without weights"):
        open_run(light).network()
    assert same_weights(open_run(full).network(), run.network())
    assert unpack(tmp_path / "full.tar.gz", tmp_path / "full") == []


def test_a_hostile_archive_is_refused(tmp_path):
    import io
    import tarfile

    from hw3lib.training.pack import unpack

    for name in ("../evil", "/etc/evil", "a/b/record.json", "run/other.py"):
        with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
            info = tarfile.TarInfo(name)
            info.size = 1
            archive.addfile(info, io.BytesIO(b"x"))
        with pytest.raises(UserError):
            unpack(tmp_path / "x.tar.gz", tmp_path / "out")
    (tmp_path / "x.tar.gz").write_bytes(b"\x1f\x8bnothing")
    with pytest.raises(UserError, match="not a whole archive"):
        unpack(tmp_path / "x.tar.gz", tmp_path / "out")
    assert not (tmp_path / "out").exists() and not (tmp_path.parent / "evil").exists()


def test_a_frozen_recipe_is_fitted_again_on_train_and_validation(recipe, folds):
    again = replace(recipe, epochs=2, train_on="train+validation")
    network, state = train(again, folds, device=CPU)
    both = Pictures.of(folds, again.train_on, CPU)
    assert len(both) == len(folds.train) + len(folds.validation)
    assert (network.mean, network.std) == normalization(again, both)
    assert all(np.isnan(row["validation_loss"]) for row in state.history)
    assert state.best_epoch == 2
    for wrong in ({"select": "best"}, {"patience": 3, "select": "best"}):
        with pytest.raises(UserError, match="nothing is left to choose"):
            replace(again, **wrong)


def test_bf16_is_another_arithmetic_near_to_fp32(recipe, folds):
    short = replace(recipe, epochs=1, mixup=0, lr=0.001)
    exact_loss, coarse_loss = (
        train(replace(short, precision=p), folds, device=CPU)[1].history[0]["validation_loss"]
        for p in ("fp32", "bf16")
    )
    assert exact_loss != coarse_loss and exact_loss == pytest.approx(coarse_loss, rel=0.05)
    assert arithmetic(replace(recipe, precision="auto"), CPU) in ("fp32", "bf16")


def test_a_checkpoint_of_another_arithmetic_is_an_error(recipe, folds, tmp_path):
    _, state = train(replace(recipe, epochs=1), folds, device=CPU)
    file = tmp_path / "checkpoint"
    exact, coarse = (replace(recipe, precision=p) for p in ("fp32", "bf16"))
    write_checkpoint(file, state, exact, CPU)
    assert len(read_checkpoint(file, exact, CPU).history) == 1
    with pytest.raises(UserError, match="not usable"):
        read_checkpoint(file, coarse, CPU)


def test_on_another_test_set_a_run_is_scored_anew(recipe, folds, tmp_path):
    short = replace(recipe, epochs=1, data=folds.fingerprint)
    first = get_run(short, folds, root=tmp_path, progress=False)
    before = first.logits("test")
    fewer = replace(folds, test=folds.test[: len(folds.test) // 2])
    second = get_run(short, fewer, root=tmp_path, progress=False)
    assert second.path == first.path and len(second.logits("test")) == len(fewer.test)
    assert np.allclose(second.logits("test"), before[: len(fewer.test)], atol=1e-4)
    assert np.array_equal(second.labels("test"), folds.faces.labels[fewer.test])
    assert same_weights(first.network(), second.network())


def test_blank_training_pictures_do_not_divide_by_zero():
    faces = make_faces(60, test=10, copies=0)
    faces.images[:] = 0
    recipe = Recipe(model="dense", width=0.25, epochs=1, batch_size=16)
    network, _ = train(recipe, split_faces(faces), device=CPU)
    assert all(torch.isfinite(p).all() for p in network.model.parameters())


@pytest.mark.gpu
@pytest.mark.parametrize("model", ["slim_resnet", "fine_resnet", "vgg16"])
def test_on_a_gpu_twice_and_through_a_kill_the_same_bits(recipe, folds, tmp_path, model):
    gpu, asked = torch.device("cuda"), replace(recipe, model=model, epochs=3)
    whole, state = train(asked, folds, device=gpu)
    again, _ = train(asked, folds, device=gpu)
    file, kept = tmp_path / "checkpoint", []
    train(replace(asked), folds, device=gpu, after_epoch=lambda s: kept or (
        write_checkpoint(file, s, asked, gpu), kept.append(1)))  # fmt: skip
    resumed, state2 = train(asked, folds, device=gpu, resume=read_checkpoint(file, asked, gpu))
    assert same_weights(whole, again) and same_weights(whole, resumed)
    assert len(state.history) == len(state2.history) == 3


@pytest.mark.gpu
@pytest.mark.parametrize("model", ["slim_resnet", "fine_resnet", "resnet18", "five_block"])
def test_a_gpu_and_a_cpu_see_the_same(folds, model):
    """In fp32; a GPU's convolutions round to TF32, 11 bits: 1e-2 of the largest logit."""
    run = Recipe(model=model, width=0.25, epochs=2, batch_size=16, precision="fp32", lr=0.01)
    network, _ = train(run, folds, device=CPU)
    images = folds.faces.images[folds.test]
    here = logits(network, images)
    there = logits(replace(network, model=network.model.to("cuda")), images)
    assert np.abs(here - there).max() < 1e-2 * np.abs(here).max()


@pytest.mark.gpu
@pytest.mark.parametrize("optimizer", ["muon", "adam"])
def test_nothing_is_read_back_from_the_gpu_within_an_epoch(recipe, folds, optimizer):
    from hw3lib.training.loop import start, train_epoch

    gpu, recipe = torch.device("cuda"), replace(recipe, optimizer=optimizer, flip="alternating")
    pictures = Pictures.of(folds, "train", gpu)
    network, optimizer, state = start(recipe, pictures, gpu)
    train_epoch(recipe, network, optimizer, pictures, state.average, 0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        train_epoch(recipe, network, optimizer, pictures, state.average, 1)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_snapshots_are_the_ends_of_the_cycles(folds, tmp_path):
    """Each is what a training of so many epochs of the same schedule ends in."""
    cycles = Recipe(
        model="dense", width=0.25, epochs=6, cycles=3, schedule="cosine", batch_size=16,
        optimizer="sgd", lr=0.05, precision="fp32", data=folds.fingerprint,
    )  # fmt: skip
    run = get_run(cycles, folds, root=tmp_path, progress=False)
    lr = run.history["lr"].to_numpy()
    assert np.allclose(lr[::2], lr[0]) and np.allclose(lr[1::2], lr[1]) and lr[1] < lr[0] / 2
    ends = []

    def after_epoch(state: State) -> None:
        if len(state.history) % 2 == 0:
            ends.append({k: v.clone() for k, v in state.model.items()})

    train(cycles, folds, device=CPU, after_epoch=after_epoch)
    for cycle, end in zip((1, 2, 0), ends, strict=True):
        state = run.network(cycle=cycle).model.state_dict()
        assert all(torch.equal(state[k], end[k]) for k in end)
    members = run.snapshots("test")
    assert len(members) == 3 and np.array_equal(members[2], run.logits("test"))
    assert not np.array_equal(members[0], members[1])
    from hw3lib.models.network import logits

    again = logits(run.network(cycle=1), folds.take("test").images)
    assert np.allclose(again, members[0], atol=1e-5)


def test_a_study_trains_a_recipe_on_the_folds_that_it_names(tmp_path, monkeypatch):
    from hw3lib.training.study import open_study

    profile = tmp_path / "parts.toml"
    profile.write_text(
        '[settings]\nsynthetic = 120\n[recipes.part]\nmodel = "dense"\nwidth = 0.25\nepochs = 1\n'
        'batch_size = 16\nsplit = "part 2 of 3"\n'
    )
    monkeypatch.setenv("HW3_RUNS", str(tmp_path / "runs"))
    study = open_study(str(profile))
    run, cut = study.run("part"), study.folds_of("part")
    assert run.recipe.data == cut.fingerprint != study.folds.fingerprint
    assert np.array_equal(run.labels("validation"), study.faces.labels[cut.validation])
