"""Two processes under torchrun (gloo) against one: gradients, agreement, writing, a kill.

Started by torchrun, this file is also what the two processes run.
"""

from __future__ import annotations

import copy
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import make_faces

from hw3lib import UserError, distributed
from hw3lib.data.split import split_faces
from hw3lib.recipe import Recipe
from hw3lib.runs import open_run, run_path
from hw3lib.training import Pictures, start, train

CPU = torch.device("cpu")
TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]

# one step of all training pictures at rate 1: the weights' change is the gradient
STEP = Recipe(
    model="two_conv", width=0.25, epochs=1, batch_size=500, lr=1.0, momentum=0.0,
    schedule="constant", precision="fp32", processes=2,
)  # fmt: skip
STEPS = {
    "plain": STEP,
    "augmented": replace(STEP, flip="horizontal", shift=2, rotate=10, erase=0.3, contrast=0.1),
    "weighted": replace(STEP, class_weight="inverse", label_smoothing=0.1),
    "mean": replace(STEP, class_weight="inverse", reduction="mean"),
    "mixup": replace(STEP, mixup=0.4, class_weight="inverse"),
    "cutmix": replace(STEP, cutmix=1.0, flip="alternating"),
    "batch norm": replace(STEP, model="slim_resnet"),
}
# everything on which the processes must agree: Muon, averages, dropout, early stopping
LONG = Recipe(
    model="slim_resnet", width=0.25, epochs=20, batch_size=15, optimizer="muon", lr=0.05,
    flip="alternating", shift=2, mixup=0.2, ema=0.9, schedule="constant", patience=2,
    select="best", precision="fp32", processes=2,
)  # fmt: skip
PROFILE = """
[settings]
synthetic = 150
[recipes.shared]
model = "slim_resnet"
width = 0.25
epochs = 12
batch_size = 16
mixup = 0.2
ema = 0.9
precision = "fp32"
processes = 2
"""


def folds():
    """An odd number of pictures in both folds, so that the two shares are unequal."""
    cut = split_faces(make_faces(151, test=30, copies=0))
    return replace(cut, train=cut.train[:101], validation=cut.validation[:11])


def gradient(before: dict, after: dict) -> torch.Tensor:
    return torch.cat([(before[k] - after[k]).flatten() for k in before if "running" not in k])


def in_each_process(out: Path) -> None:
    """What torchrun's processes do; each leaves what it has found in <out>/rank<r>.pt."""
    opened: list[str] = []
    with distributed.joined():
        data, rank = folds(), distributed.rank()
        found = {name: train(recipe, data, device=CPU)[1] for name, recipe in STEPS.items()}
        found = {name: {"model": s.model, "row": s.history[0]} for name, s in found.items()}
        network, state = train(LONG, data, device=CPU)
        found["long"] = {**vars(state), "kept": network.model.state_dict()}
        for row in state.history:
            row["seconds"] = 0
        found["combined"], found["torch"] = beside_torch()
        sys.addaudithook(lambda event, args: opened.append(args) if event == "open" else None)
        from hw3lib.study import open_study

        run = open_study(str(out / "profile.toml")).run("shared")
        found["run"] = run.path.name
    written = [str(path) for path, _, flags in opened if flags & (os.O_WRONLY | os.O_RDWR)]
    found["written"] = [path for path in written if path.startswith(os.environ["HW3_RUNS"])]
    torch.save(found, out / f"rank{rank}.pt")


def beside_torch() -> tuple[torch.Tensor, torch.Tensor]:
    """Equal shares, no weights: our gradient and that of DistributedDataParallel."""
    from torch.nn.parallel import DistributedDataParallel

    network, _, _ = start(STEP, Pictures.of(folds(), "train", CPU), CPU)
    inputs = torch.randn(16, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    labels, rows = torch.arange(16) % 7, distributed.share(16)
    ours, theirs = network.model, DistributedDataParallel(copy.deepcopy(network.model))
    loss = torch.nn.functional.cross_entropy
    (loss(ours(inputs[rows]), labels[rows]) * (len(labels[rows]) / len(labels))).backward()
    distributed.combine(ours)
    loss(theirs(inputs[rows]), labels[rows]).backward()
    return tuple(torch.cat([p.grad.flatten() for p in m.parameters()]) for m in (ours, theirs))


def torchrun(*command: str, runs: Path) -> subprocess.Popen:
    env = {
        **os.environ, "HW3_RUNS": str(runs), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "",
        "GLOO_SOCKET_IFNAME": "lo",
    }  # fmt: skip
    return subprocess.Popen([*TWO, *command], env=env, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    (folder / "profile.toml").write_text(PROFILE)
    process = torchrun(__file__, str(folder), runs=folder / "runs")
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    return folder


@pytest.fixture(scope="module")
def ranks(out) -> list[dict]:
    return [torch.load(out / f"rank{r}.pt", weights_only=True) for r in (0, 1)]


@pytest.mark.parametrize("name", STEPS)
def test_the_gradient_is_that_of_one_process(ranks, name):
    data, alone = folds(), replace(STEPS[name], processes=1)
    _, _, begun = start(alone, Pictures.of(data, "train", CPU), CPU)
    before = {k: v.clone() for k, v in begun.model.items() if v.is_floating_point()}
    state = train(alone, data, device=CPU)[1]
    one, two = gradient(before, state.model), gradient(before, ranks[0][name]["model"])
    error = ((one - two).norm() / one.norm()).item()
    if name == "batch norm":  # each process normalises its own rows: near, and another training
        assert 1e-3 < error < 1
    else:
        assert error < 1e-5
        row, whole = ranks[0][name]["row"], state.history[0]
        assert row["train_loss"] == pytest.approx(whole["train_loss"], rel=1e-5)
        assert row["train_accuracy"] == whole["train_accuracy"]
    a, b = (found[name]["model"] for found in ranks)
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_the_gradient_is_that_of_torchs_own_data_parallel(ranks):
    for found in ranks:
        assert torch.allclose(found["combined"], found["torch"], rtol=1e-4, atol=1e-7)
    assert torch.equal(ranks[0]["combined"], ranks[1]["combined"])


def test_the_processes_agree_to_the_bit(ranks):
    a, b = (found["long"] for found in ranks)
    assert a["history"] == b["history"]
    losses = [row["validation_loss"] for row in a["history"]]
    assert len(losses) == losses.index(min(losses)) + 1 + LONG.patience < LONG.epochs
    for part in ("model", "average", "best", "kept"):
        assert a[part].keys() == b[part].keys()
        assert all(torch.equal(a[part][k], b[part][k]) for k in a[part]), part
    assert all(torch.equal(a["kept"][k], a["best"][k]) for k in a["best"])


def test_every_picture_is_evaluated_once(ranks):
    """The accuracy is a count over the whole fold, and the loss one process's."""
    from hw3lib.training import score

    long, data = ranks[0]["long"], folds()
    network, _, _ = start(LONG, Pictures.of(data, "train", CPU), CPU)
    network.model.load_state_dict(long["kept"])
    loss, accuracy = score(network, Pictures.of(data, "validation", CPU))
    row = min(long["history"], key=lambda row: row["validation_loss"])
    assert row["validation_accuracy"] == accuracy
    assert row["validation_loss"] == pytest.approx(loss, rel=1e-6)


@pytest.mark.parametrize("n", [0, 1, 5, 8, 101])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_the_shares_are_a_partition(monkeypatch, n, size):
    monkeypatch.setattr(distributed, "_world_size", size)
    rows = []
    for rank in range(size):
        monkeypatch.setattr(distributed, "_rank", rank)
        rows += range(n)[distributed.share(n)]
    assert rows == list(range(n))


def test_rank_0_alone_writes(ranks, out):
    assert ranks[0]["written"] and not ranks[1]["written"]
    assert ranks[0]["run"] == ranks[1]["run"]
    run = open_run(out / "runs" / ranks[0]["run"])
    assert run.record["processes"] == run.recipe.processes == 2
    left = {path.name for path in (out / "runs").iterdir()}
    assert left == {run.path.name, f".{run.path.name}.lock"}


def test_killed_and_started_again_it_ends_in_the_same_bits(ranks, out, tmp_path):
    whole = open_run(out / "runs" / ranks[0]["run"])
    command = ["-m", "hw3lib.cli", "train", "--profile", str(out / "profile.toml")]
    process, told = torchrun(*command, runs=tmp_path), ""
    while "epoch 3/" not in told:
        line = process.stderr.readline()
        assert line, told
        told += line
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) >= 2
    process.send_signal(signal.SIGKILL)
    process.communicate()
    end = time.monotonic() + 60
    while any(Path(f"/proc/{child}").exists() for child in children):  # none goes on alone
        assert time.monotonic() < end
        time.sleep(0.05)
    assert not (tmp_path / whole.path.name).exists()
    process = torchrun(*command, runs=tmp_path)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    assert len(re.findall("shared: goes on after epoch", told)) == 1
    again = open_run(run_path(whole.recipe, tmp_path))
    assert again.record["resumed"]
    a, b = (run.network().model.state_dict() for run in (whole, again))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert (again.logits("test") == whole.logits("test")).all()


def test_another_number_of_processes_is_one_line(monkeypatch):
    with pytest.raises(UserError, match="torchrun --nproc_per_node 2 -m "):
        distributed.check(STEP, "step", 101)
    monkeypatch.setattr(distributed, "_world_size", 3)
    with pytest.raises(UserError, match="processes = 2, here it is 3"):
        distributed.check(STEP, "step", 101)
    with pytest.raises(UserError, match="2 or more for each process"):
        replace(STEP, batch_size=3)


def test_the_number_of_processes_names_the_run_but_one_does_not():
    alone = replace(STEP, processes=1)
    assert alone.hash == Recipe(**{k: v for k, v in vars(alone).items() if k != "processes"}).hash
    assert STEP.hash != alone.hash


if __name__ == "__main__":
    in_each_process(Path(sys.argv[1]))
    distributed.leave(0)
