"""The synthetic faces: the same everywhere, the course's shares, copies, and not too easy."""

import numpy as np
import pytest

from hw3lib.data.faces import CLASSES, COURSE_COUNTS, DataError
from hw3lib.data.synthetic import class_counts, draw, draw_images, synthetic_faces


@pytest.fixture(scope="module")
def faces():
    return synthetic_faces(1000)


def test_shapes_types_and_ids(faces):
    assert faces.images.shape == (1000, 48, 48) and faces.images.dtype == np.uint8
    assert faces.labels.dtype == np.int64 and faces.group.dtype == np.int64
    assert faces.synthetic and faces.votes is None
    assert faces.ids[7] == "00007" and len(set(faces.ids)) == 1000
    assert (faces.split == "test").sum() == 200 and set(faces.split) == {"train", "test"}


def test_the_same_arguments_give_the_same_bytes():
    first, second = synthetic_faces(120), synthetic_faces(120)
    assert first.images.tobytes() == second.images.tobytes()
    assert (first.labels == second.labels).all() and (first.split == second.split).all()
    assert synthetic_faces(120, seed=1).fingerprint != first.fingerprint


def test_the_pictures_are_the_ones_the_published_numbers_were_measured_on():
    assert synthetic_faces(120).fingerprint == "4e413611ad3b6faa"


def test_faces_are_drawn_one_by_one_as_in_batches(monkeypatch):
    labels = np.arange(7).repeat(5)
    together = draw_images(labels, np.random.default_rng(3))
    monkeypatch.setattr("hw3lib.data.synthetic.BATCH", 1)
    assert (draw_images(labels, np.random.default_rng(3)) == together).all()


@pytest.mark.parametrize("n", [1, 10, 999, 28887])
def test_class_shares_are_the_courses(n):
    counts = class_counts(n)
    assert counts.sum() == n
    assert np.abs(counts - n * np.array(COURSE_COUNTS) / sum(COURSE_COUNTS)).max() < 1
    if n == sum(COURSE_COUNTS):
        assert tuple(counts) == COURSE_COUNTS


def test_labels_hold_the_class_counts(faces):
    assert (np.bincount(faces.labels, minlength=len(CLASSES)) == class_counts(1000)).all()


def test_some_pictures_are_copies_some_conflict_some_cross_the_splits():
    faces = synthetic_faces(2000)
    n_groups = faces.group.max() + 1
    assert 0.03 < 1 - n_groups / 2000 < 0.05
    pairs = {(g, label) for g, label in zip(faces.group, faces.labels, strict=True)}
    assert 1 <= len(pairs) - n_groups <= 10  # groups whose members disagree
    test = faces.split == "test"
    crossing = np.intersect1d(faces.group[test], faces.group[~test])
    assert 5 <= len(crossing) <= 60
    assert (faces.images.reshape(2000, -1).max(1) == 0).sum() == 1  # the blank one


def test_no_picture_is_washed_out(faces):
    flat = faces.images.reshape(len(faces), -1)
    assert (flat.std(1) > 8).all()  # n < 2000: none is blank
    assert ((flat == 255).mean(1) < 0.6).all() and ((flat == 0).mean(1) < 0.6).all()


def test_the_mouth_follows_the_curve():
    from hw3lib.data.synthetic import sample_looks

    look = sample_looks(np.full(40, CLASSES.index("Neutral")), np.random.default_rng(0))
    for name in vars(look):
        setattr(look, name, getattr(look, name)[:, None, None])
    for still in ("yaw", "pitch", "shift_x", "shift_y", "sin", "skew", "beard", "open"):
        setattr(look, still, 0 * look.yaw)
    look.cos, look.curve = look.cos * 0 + 1, look.curve * 0 + 0.15
    smile = draw(look)
    look.curve = -look.curve
    difference = (draw(look) - smile).mean(0)
    middle, corners = difference[:, 22:26].mean(1), difference[:, [16, 17, 30, 31]].mean(1)
    rows = np.arange(48)

    def centre(darkness):
        weight = np.maximum(darkness, 0)[26:46]
        return (rows[26:46] * weight).sum() / weight.sum()

    # a frown is brighter where the smile was dark: low in the middle, high at the corners
    assert centre(middle) > centre(-middle) + 1
    assert centre(corners) < centre(-corners) - 1


@pytest.mark.parametrize("n", [0, -3])
def test_too_few_faces_are_refused(n):
    with pytest.raises(DataError, match="at least 1"):
        synthetic_faces(n)


@pytest.mark.slow
def test_a_small_network_learns_them_and_pixels_alone_do_not():
    faces = synthetic_faces(4000)
    linear, (network, confusion) = _logistic_regression(faces), _small_network(faces)
    assert linear < 0.65
    assert 0.60 < network < 0.95 and network > linear + 0.15
    share = confusion / confusion.sum(1, keepdims=True)
    both = share + share.T
    angry, disgust, fear, _, sad, _, neutral = range(7)
    both[disgust] = both[:, disgust] = 0  # a dozen pictures: their share is chance
    hardest = np.sort(both[np.triu_indices(7, 1)])[-2:]
    assert {both[sad, neutral], both[angry, fear]} == set(hardest)


def _logistic_regression(faces) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, x = faces.split == "train", faces.images.reshape(len(faces), -1) / 255
    model = make_pipeline(StandardScaler(), LogisticRegression(C=3e-3, max_iter=60))
    with pytest.warns(match="converge"):  # more steps overfit
        model.fit(x[train], faces.labels[train])
    return model.score(x[~train], faces.labels[~train])


def _small_network(faces, epochs: int = 6) -> tuple[float, np.ndarray]:
    import torch
    from torch import nn

    torch.manual_seed(0)
    x = (torch.tensor(faces.images)[:, None] / 255 - 0.5) / 0.25
    y, train = torch.tensor(faces.labels), torch.tensor(faces.split == "train")
    layers = []
    for before, after, stride in ((1, 16, 2), (16, 32, 1), (32, 48, 2), (48, 64, 1), (64, 96, 2)):
        convolution = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
    head = (nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Dropout(0.3), nn.Linear(864, 7))
    network = nn.Sequential(*layers, *head).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    rows = torch.nonzero(train)[:, 0]
    steps = epochs * (len(rows) // 64)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(epochs):
        for batch in rows[torch.randperm(len(rows))].split(64)[: len(rows) // 64]:
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(x[batch]), y[batch]).backward()
            optimizer.step()
            schedule.step()
    with torch.inference_mode():
        guess = network.eval()(x[~train]).argmax(1)
    confusion = torch.bincount(y[~train] * 7 + guess, minlength=49).reshape(7, 7).numpy()
    return float((guess == y[~train]).float().mean()), confusion
