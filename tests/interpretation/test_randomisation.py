"""Random networks are copies that fit the images, and the check catches what ignores them."""

import numpy as np
import pytest
import torch

from hw3lib.data.synthetic import synthetic_faces
from hw3lib.interpretation import checks, randomisation
from hw3lib.interpretation.attribution import features
from hw3lib.interpretation.randomisation import randomised
from hw3lib.models import MODELS
from interpretation.networks import assert_same, images, slim, state


@pytest.mark.parametrize("name", sorted(MODELS))
def test_only_the_named_layers_of_a_copy_are_randomised(name):
    network = slim(name, 0.125)
    inputs = network.prepare(images(8))
    before, random_state = state(network.model), torch.get_rng_state()
    last = randomisation.weighted(network, inputs)[-1]
    other = randomised(network, inputs, names=[last], seed=3)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert_same(before, state(network.model))
    assert other.mean == network.mean
    for key, value in other.model.state_dict().items():
        assert torch.equal(value, before[1][key]) is not key.startswith(f"{last}."), key


def test_a_layer_is_drawn_alike_in_every_step_of_a_cascade_and_follows_its_seed():
    network = slim()
    inputs = network.prepare(images())
    steps = randomisation.cascade(network, inputs)
    assert steps[-1][::-1] == randomisation.weighted(network, inputs) and steps[0] == steps[-1][:1]
    draws = [
        randomised(network.model, inputs, names=n, seed=s).state_dict()
        for n, s in ((steps[0], 1), (None, 1), (steps[0], 2))
    ]
    first, every, other = (d[f"{steps[0][0]}.weight"] for d in draws)
    assert torch.equal(first, every) and not torch.equal(first, other)


def test_batch_norms_of_a_random_network_fit_the_images():
    network = slim(width=0.125)
    inputs = network.prepare(images(64))
    out = features(randomised(network, inputs), ["stage2.0.bn1"])(inputs)["stage2.0.bn1"]
    assert out.mean((0, 2, 3)).abs().max() < 1e-3
    assert (out.var((0, 2, 3)) - 1).abs().max() < 1e-2


def test_the_check_catches_a_map_that_ignores_the_network():
    network, faces = slim(width=0.125), synthetic_faces(8, seed=1)
    inputs, before = network.prepare(faces.images), state(network.model)
    methods, seeds = ["gradient", "edges alone"], (0, 1)
    check, *alone = (
        randomisation.randomisation_check(network, inputs, faces.labels, methods=methods, seeds=s)
        for s in (seeds, seeds[:1], seeds[1:])
    )
    assert_same(before, state(network.model))
    assert set(check["stage"]) == {1, 2, 3} and check["randomised"].max() == 1
    assert len(check) == 2 * 3 * len(faces)
    mean = np.mean([a["similarity"] for a in alone], axis=0)  # over several random networks
    assert np.allclose(check["similarity"], mean)
    half = randomisation.half_randomised(check)
    judged = checks.judge({"weight randomisation": {"": half}}).set_index("method")["passes"]
    assert judged["edges alone"] is False and judged["gradient"] is True
