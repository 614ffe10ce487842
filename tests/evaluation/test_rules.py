"""Each decision rule against a case whose answer is known."""

from itertools import product

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import softmax
from scipy.stats import norm

from hw3lib import UserError
from hw3lib.evaluation import metrics, rules

PRIORS = np.array([0.6, 0.3, 0.1])


def cases(n=400, classes=3, seed=0):
    """Probabilities, labels drawn from them, and the priors: the probabilities are the truth."""
    rng = np.random.default_rng(seed)
    p = softmax(rng.normal(size=(n, classes)) * 1.5 + np.linspace(1, -1, classes), axis=1)
    labels = np.array([rng.choice(classes, p=row) for row in p])
    return p, labels, p.mean(0)


def fitted(rule):
    return rule.fit(np.array([[0.5, 0.3, 0.2]]), np.array([0]), PRIORS)


@pytest.mark.parametrize(
    ("rule", "probabilities", "decisions"),
    [
        # only the third exceeds its prior; second and third; first and third; none: argmax
        (rules.AbovePrior(), [[0.55, 0.25, 0.20], [0.50, 0.35, 0.15], [0.7, 0.1, 0.2], PRIORS],
         [2, 1, 0, 0]),
        (rules.RatioToPrior(), [[0.55, 0.25, 0.20], [0.90, 0.05, 0.05]], [2, 0]),
        # missing the third is dear
        (rules.LeastCost(np.array([[0, 1, 1], [1, 0, 1], [10, 10, 0]])),
         [[0.6, 0.2, 0.2], [0.95, 0.0, 0.05]], [2, 0]),
    ],
)  # fmt: skip
def test_by_hand(rule, probabilities, decisions):
    assert fitted(rule).predict(np.array(probabilities)).tolist() == decisions


def test_above_prior_differs_from_argmax_exactly_where_the_proof_says():
    """Where the most probable class does not exceed its own prior."""
    p, labels, priors = cases(3000)
    differs = rules.AbovePrior().fit(p, labels, priors).predict(p) != p.argmax(1)
    assert 0 < differs.sum() < len(p)
    np.testing.assert_array_equal(differs, p.max(1) <= priors[p.argmax(1)])


def test_ratio_is_logit_adjustment_of_strength_one_and_least_cost_of_equal_classes():
    p, labels, priors = cases()
    ratio = rules.RatioToPrior().fit(p, labels, priors).predict(p)
    for rule in (rules.LogitAdjustment(tau=1.0), rules.LeastCost()):
        np.testing.assert_array_equal(rule.fit(p, labels, priors).predict(p), ratio)
    plain = rules.LogitAdjustment(tau=0.0).fit(p, labels, priors).predict(p)
    np.testing.assert_array_equal(plain, p.argmax(1))


def test_logit_adjustment_chooses_the_best_strength_and_chooses_anew_when_refitted():
    p, labels, priors = cases()
    rule = rules.LogitAdjustment().fit(p, labels, priors)
    scores = [
        metrics.balanced_accuracy((np.log(p) - tau * np.log(priors)).argmax(1), labels)
        for tau in rule.grid
    ]
    assert rule.chosen == rule.grid[int(np.argmax(scores))] > 0
    assert rule.fit(p, p.argmax(1), priors).chosen == 0


def test_offsets_are_as_good_as_a_search_through_all_of_them():
    p, labels, priors = cases(60, seed=3)
    rule = rules.Offsets().fit(p, labels, priors)
    ours = metrics.balanced_accuracy(rule.predict(p), labels)
    for c, move in product(range(3), np.linspace(-3, 3, 121)):  # no single one can be bettered
        moved = rule.scores(p) + move * np.eye(3)[c]
        assert metrics.balanced_accuracy(moved.argmax(1), labels) <= ours + 1e-9
    grid = np.linspace(-4, 4, 33)
    best = max(
        metrics.balanced_accuracy((np.log(p) + np.array([0, a, b])).argmax(1), labels)
        for a, b in product(grid, grid)
    )
    assert ours >= best - 0.02
    assert ours > metrics.balanced_accuracy(p.argmax(1), labels)


def test_with_true_posteriors_argmax_is_best_for_accuracy_and_the_ratio_for_balanced_accuracy():
    p, labels, _ = cases(500)
    rivals = [rules.Argmax(), rules.AbovePrior(), rules.RatioToPrior(),
              rules.LogitAdjustment(tau=0.4), rules.Offsets()]  # fmt: skip
    decided = [r.fit(p, labels, p.mean(0)).predict(p) for r in rivals]
    taken = [p[np.arange(len(p)), z] for z in decided]
    accuracy = [x.mean() for x in taken]
    balanced = [(x / p.mean(0)[z]).mean() for x, z in zip(taken, decided, strict=True)]
    assert np.argmax(accuracy) == 0 and accuracy[0] == pytest.approx(p.max(1).mean())
    assert np.argmax(balanced) == 2


def test_a_rare_class_comes_back_under_the_ratio_where_the_prior_alone_hid_it():
    """Posteriors of equal likelihoods under unequal priors: the ratio undoes the priors."""
    rng, n, means = np.random.default_rng(0), 30_000, np.arange(7) * 1.5
    priors = np.array([0.3, 0.02, 0.14, 0.14, 0.13, 0.13, 0.14])
    labels = rng.choice(7, n, p=priors)
    x = means[labels] + rng.normal(size=n)
    p = softmax(-((x[:, None] - means) ** 2) / 2 + np.log(priors), axis=1)
    pair = [r.fit(p, labels, priors) for r in (rules.Argmax(), rules.RatioToPrior())]
    table = rules.class_recall(pair, p, labels, class_id=1)
    assert table["rule"].tolist() == ["argmax", "largest ratio to its prior"]
    before, after = table["recall"]
    inside = norm.cdf(0.75) - norm.cdf(-0.75)  # midpoints between its neighbours' means
    assert after.low < inside < after.high and before.value < 0.2
    assert table["hits"][1] == round(after.value * (labels == 1).sum()) > table["hits"][0]
    assert table["precision"][1] < 0.2  # the price: most that are called it are not
    assert table["accuracy"][1].high < table["accuracy"][0].low


def test_rejection_threshold_keeps_the_wanted_share():
    p, _, _ = cases(1000)
    kept = p.max(1) >= rules.rejection_threshold(p, 0.8)
    assert kept.mean() == pytest.approx(0.8, abs=0.005)
    assert (p.max(1) >= rules.rejection_threshold(p, 1.0)).all()
    with pytest.raises(UserError, match="coverage"):
        rules.rejection_threshold(p, 0)


def shifted_cases(new, n=20_000, seed=3):
    """Three Gaussians: posteriors under PRIORS of images drawn with the shares `new`."""
    rng, means = np.random.default_rng(seed), np.array([0.0, 1.0, 3.0])
    labels = rng.choice(3, n, p=new)
    x = means[labels] + rng.normal(size=n)
    return softmax(-((x[:, None] - means) ** 2) / 2 + np.log(PRIORS), axis=1), labels, x, means


def test_the_estimate_is_the_likeliest_mixture():
    p, *_ = shifted_cases([0.2, 0.3, 0.5], n=2000)
    ratio = p / PRIORS

    def loss(z):
        return -np.log(ratio @ softmax(z)).mean()

    oracle = softmax(minimize(loss, np.zeros(3), method="BFGS").x)
    assert rules.estimate_priors(p, PRIORS) == pytest.approx(oracle, abs=1e-3)


def test_changed_priors_give_bayes_own_decisions():
    new = np.array([0.1, 0.2, 0.7])
    p, labels, x, means = shifted_cases(new)
    bayes = (-((x[:, None] - means) ** 2) / 2 + np.log(new)).argmax(1)
    known = fitted(rules.PriorShift(new)).predict(p)
    assert (known == bayes).all()
    right = [(rule.predict(p) == labels).mean()
             for rule in (fitted(rules.Argmax()), fitted(rules.PriorShift()))]  # fmt: skip
    assert right[1] > right[0] + 0.03 and right[1] == pytest.approx(
        (known == labels).mean(), abs=5e-3
    )


@pytest.mark.parametrize("priors", [[0.5, 0.5], [0.5, 0.6, 0.2], [0.5, 0.5, 0.0]])
def test_priors_that_are_no_distribution_are_refused(priors):
    p, labels, _ = cases(20)
    with pytest.raises(UserError, match="rule:"):
        rules.RatioToPrior().fit(p, labels, np.array(priors))
