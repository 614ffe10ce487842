"""Runs: found, resumed or trained; what belongs to them and to no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import make_faces, same_weights

from hw3lib import UserError
from hw3lib.data.split import recut, split_faces
from hw3lib.evaluation.effects import stopped_at
from hw3lib.models.network import logits
from hw3lib.training.checkpoint import write_checkpoint
from hw3lib.training.loop import State, train
from hw3lib.training.pack import pack, unpack
from hw3lib.training.recipe import Recipe
from hw3lib.training.runs import checkpoint_of, get_run, open_run, run_path
from hw3lib.training.study import open_study
from hw3lib.training.workers import make_runs

CPU = torch.device("cpu")
DENSE = Recipe(
    model="dense", width=0.25, epochs=1, batch_size=16, optimizer="adam", lr=0.02, precision="fp32"
)


def test_a_run_belongs_to_its_data_whoever_asks(folds, tmp_path):
    """The same Recipe, its data left open, on other images, another split and another limit."""
    first = get_run(DENSE, folds, root=tmp_path)
    made = (first.path / "record.json").stat().st_mtime_ns
    for asked, on in (
        (DENSE, split_faces(make_faces(seed=5))), (DENSE, recut(folds, "stratified", 3)),
        (replace(DENSE, train_limit=60), folds),
    ):  # fmt: skip
        run = get_run(asked, on, root=tmp_path)
        assert run.path != first.path and run.recipe.data == on.fingerprint
        assert len(run.labels("validation")) == len(on.validation)
        assert same_weights(run.network(), train(asked, on, device=CPU)[0])
    assert get_run(DENSE, folds, root=tmp_path).path == first.path
    assert (first.path / "record.json").stat().st_mtime_ns == made  # found, not trained again
    assert not list(tmp_path.glob(".*.checkpoint"))


def test_on_another_test_set_a_run_is_scored_again(run, recipe, folds, tmp_path):
    pack({"best": run}, tmp_path / "run.tar.gz", weights=lambda name: True)
    (copy,) = unpack(tmp_path / "run.tar.gz", tmp_path / "runs")
    before = [path.read_bytes() for path in sorted(copy.iterdir())]
    fewer = replace(folds, test=folds.test[: len(folds.test) // 2])
    again = get_run(recipe, fewer, root=tmp_path / "runs")
    assert np.allclose(again.logits("test"), run.logits("test")[: len(fewer.test)], atol=1e-4)
    assert np.array_equal(again.labels("test"), folds.faces.labels[fewer.test])
    assert before == [path.read_bytes() for path in sorted(copy.iterdir())]  # nothing is changed


def test_early_stopping_is_read_off_the_logits_of_every_epoch(folds, tmp_path):
    """At a constant rate the training that stops is the beginning of the one that does not."""
    full = replace(DENSE, epochs=12, lr=0.05, schedule="constant", ema=0.5)
    without = get_run(full, folds, root=tmp_path)
    with pytest.raises(UserError, match="no logits of every epoch"):
        without.epoch_logits("test")
    run = get_run(full, folds, root=tmp_path, every_epoch=True)
    assert run.path == without.path and same_weights(run.network(), without.network())
    for split in ("validation", "test"):
        each = run.epoch_logits(split)
        assert each.shape == (12, len(run.labels(split)), 7)
        assert np.allclose(each[-1], run.logits(split), rtol=1e-3, atol=1e-3)
    stopping = replace(full, patience=2, select="best")
    stopped = get_run(stopping, folds, root=tmp_path, every_epoch=True)
    kept, n, _ = stopped_at(run.history["validation_loss"], 2)
    assert n == kept + 2 < 12 and stopped.record["kept_epoch"] == kept
    columns = [c for c in run.history if c != "seconds"]
    assert stopped.history[columns].equals(run.history[columns].head(n))
    assert np.array_equal(stopped.epoch_logits("test"), run.epoch_logits("test")[:n])
    expected = run.epoch_logits("test")[kept - 1]
    assert np.allclose(stopped.logits("test"), expected, rtol=1e-3, atol=1e-3)


def test_a_checkpoint_without_the_logits_asked_for_is_not_gone_on_from(folds, tmp_path):
    short = replace(DENSE, epochs=2, data=folds.fingerprint)
    _, state = train(replace(short, epochs=1), folds, device=CPU)
    write_checkpoint(checkpoint_of(run_path(short, tmp_path)), state, short, CPU)
    run = get_run(short, folds, root=tmp_path, every_epoch=True)
    assert run.epoch_logits("validation").shape[0] == 2 and not run.record["resumed"]


def test_teachers_are_trained_before_whom_they_teach(folds, tmp_path, monkeypatch):
    monkeypatch.setenv("HW3_RUNS", str(tmp_path))
    profile = tmp_path / "taught.toml"
    profile.write_text(
        "[settings]\nsynthetic = 150\n"
        '[recipes.pupil]\nbase = "teacher"\nseed = 2\nteacher = "teacher"\ndistillation = 0.8\n'
        '[recipes.teacher]\nmodel = "dense"\nwidth = 0.05\nepochs = 1\nseeds = [0, 1]\n'
    )
    study = open_study(str(profile))
    assert study.teachers("pupil") == ["teacher.0", "teacher.1"]
    profile.write_text(profile.read_text().replace('teacher = "teacher"', 'teacher = "pupil"'))
    with pytest.raises(
        UserError, match=r"recipes\.pupil: its teacher 'pupil' must have no teacher"
    ):
        open_study(str(profile))
    with pytest.raises(UserError, match=r"Run of a teacher is missing; train it first"):
        get_run(study.recipes["pupil"], study.folds)
    pupil = make_runs(study, ["pupil"])["pupil"]
    assert len(list(tmp_path.glob("dense-*"))) == 3
    assert pupil.recipe.teacher.split() == [study.run(f"teacher.{k}").path.name for k in (0, 1)]
    other = get_run(replace(pupil.recipe, teacher="", distillation=0.0), study.folds)
    assert not same_weights(pupil.network(), other.network())


def test_packed_runs_serve_elsewhere(run, tmp_path):
    pack({"best": run}, tmp_path / "light.tar.gz", weights=lambda name: False)
    pack({"best": run}, tmp_path / "full.tar.gz", weights=lambda name: True)
    light, full = (unpack(tmp_path / f"{n}.tar.gz", tmp_path / n)[0] for n in ("light", "full"))
    assert np.array_equal(open_run(light).logits("test"), run.logits("test"))
    with pytest.raises(UserError, match="without weights"):
        open_run(light).network()
    assert same_weights(open_run(full).network(), run.network())
    assert unpack(tmp_path / "full.tar.gz", tmp_path / "full") == []


def test_snapshots_are_the_ends_of_the_cycles(folds, tmp_path):
    """Each is what a training of so many epochs of the same schedule ends in."""
    cycles = replace(DENSE, epochs=6, cycles=3, schedule="cosine", optimizer="sgd", lr=0.05)
    run = get_run(cycles, folds, root=tmp_path)
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
    again = logits(run.network(cycle=1), folds.take("test").images)
    assert np.allclose(again, members[0], atol=1e-5) and not np.allclose(again, members[1])
