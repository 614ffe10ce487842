"""The loop against oracles, and its promise: the same bits, whatever kills it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import same_weights

from hw3lib import UserError
from hw3lib.models.network import logits
from hw3lib.training.checkpoint import read_checkpoint, write_checkpoint
from hw3lib.training.loop import State, Training, arithmetic, images_of, normalization, train
from hw3lib.training.recipe import Recipe

CPU = torch.device("cpu")


def same_history(a: State, b: State) -> bool:
    return [{**row, "seconds": 0} for row in a.history] == [
        {**row, "seconds": 0} for row in b.history
    ]


def test_twice_and_through_a_checkpoint_the_same_bits(recipe, folds, tmp_path):
    short, file = replace(recipe, epochs=3, train_limit=80), tmp_path / "checkpoint"
    whole, state = train(short, folds, device=CPU)

    def stop_after(epochs: int):
        def after_epoch(now: State) -> None:
            write_checkpoint(file, now, short, CPU)
            if len(now.history) == epochs:
                raise KeyboardInterrupt

        return after_epoch

    for epochs in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            train(short, folds, device=CPU, after_epoch=stop_after(epochs))
        torch.manual_seed(12345)  # the resumed process has other global random numbers
        resume = read_checkpoint(file, short, CPU)
        resumed, state2 = train(short, folds, device=CPU, resume=resume)
        assert same_weights(whole, resumed) and same_history(state, state2)
    other, _ = train(replace(short, seed=1), folds, device=CPU)
    assert not same_weights(whole, other)
    write_checkpoint(file, state, replace(short, precision="fp32"), CPU)
    with pytest.raises(UserError, match="another recipe or on another device"):
        read_checkpoint(file, replace(short, precision="bf16"), CPU)


def test_normalization_is_the_training_images_mean_and_deviation(folds):
    images = images_of(folds, "train", CPU).images
    mean, std = normalization(Recipe(model="x"), images)
    values = images.double() / 255
    assert mean == pytest.approx(values.mean().item(), abs=1e-12)
    assert std == pytest.approx(values.std(correction=0).item(), abs=1e-12)
    assert normalization(Recipe(model="x", normalize="none"), images) == (0.0, 1.0)
    assert normalization(Recipe(model="x"), images * 0)[1] > 0  # blank images


def test_training_leaves_the_process_as_it_was(recipe, folds):
    torch.manual_seed(7)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    train(replace(recipe, model="dense", epochs=1, threads=2), folds, device=CPU)
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads


def test_a_frozen_recipe_is_fitted_again_on_train_and_validation(recipe, folds):
    again = replace(recipe, model="dense", epochs=2, train_on="train+validation")
    network, state = train(again, folds, device=CPU)
    both = images_of(folds, again.train_on, CPU)
    assert len(both.labels) == len(folds.train) + len(folds.validation)
    assert (network.mean, network.std) == normalization(again, both.images)
    assert all(np.isnan(row["validation_loss"]) for row in state.history)
    assert state.best_epoch == 2


def test_bf16_is_another_arithmetic_near_to_fp32(recipe, folds):
    short = replace(recipe, epochs=1, lr=0.001)
    exact_loss, coarse_loss = (
        train(replace(short, precision=p), folds, device=CPU)[1].history[0]["validation_loss"]
        for p in ("fp32", "bf16")
    )
    assert exact_loss != coarse_loss and exact_loss == pytest.approx(coarse_loss, rel=0.05)
    assert arithmetic(replace(recipe, precision="auto"), CPU) in ("fp32", "bf16")


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
    gpu, recipe = torch.device("cuda"), replace(recipe, optimizer=optimizer)
    training = Training(recipe, folds, gpu)
    training.train_epoch(0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        training.train_epoch(1)
    finally:
        torch.cuda.set_sync_debug_mode("default")
