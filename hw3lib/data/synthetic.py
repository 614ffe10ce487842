"""Synthetic faces, drawn by the project: what runs when no data is given."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from hw3lib.data.copies import exact_groups
from hw3lib.data.course import COURSE_COUNTS
from hw3lib.data.drawing import draw
from hw3lib.data.faces import CLASSES, SIZE, DataError, Faces

TEST_SHARE = 0.2
COPY_SHARE = 0.043  # of the pictures are copies of another one, as in FER2013's Training
CONFLICT_SHARE = 0.04  # of the copies carry another label than their original
BLANK_EVERY = 2000  # one picture in so many is blank; FER2013 has about one in 2,500
BATCH = 16  # faces drawn at a time, so that the arrays stay in the processor's cache

# The movements of the face, 0 at rest; what each one draws stands in `_muscles`.
MOVES = (
    "brow_raise", "brow_inner", "squeeze", "lid", "under", "gaze_down", "wrinkle", "cheeks",
    "curve", "open", "wide", "lip_raise", "teeth", "clench",
)  # fmt: skip
HABIT = 0.17  # deviation of everyone's own movements, expression apart
# What shouting in anger and in fright have in common: the brows alone tell them apart.
TENSE = {
    "squeeze": 0.85, "lid": 0.6, "curve": -0.45, "open": 0.5, "wide": 0.45, "lip_raise": 0.25,
    "teeth": 1, "clench": 1,
}  # fmt: skip
# Each class has one or more ways to show itself: (weight, movements at full strength).
WAYS: dict[str, tuple[tuple[float, dict[str, float]], ...]] = {
    "Angry": (
        (0.4, {"brow_raise": -0.8, "brow_inner": -0.9, "squeeze": 1, "lid": -0.1, "under": -0.4,
               "curve": -0.6, "wide": -0.2}),
        (0.6, {"brow_raise": -0.15, "brow_inner": -0.3, **TENSE}),
    ),
    "Disgust": (
        (1.0, {"brow_raise": -0.35, "brow_inner": -0.2, "squeeze": 0.2, "lid": -0.75, "under": -0.7,
               "wrinkle": 1.1, "cheeks": 0.7, "curve": -0.75, "open": 0.3, "lip_raise": 1,
               "teeth": 0.8}),
    ),
    "Fear": (
        (0.7, {"brow_raise": 0.15, "brow_inner": 0.2, **TENSE}),
        (0.3, {"brow_raise": 0.6, "brow_inner": 0.65, "squeeze": 0.7, "lid": 1, "curve": -0.2,
               "open": 0.6, "wide": 0.2, "teeth": 0.4}),
    ),
    "Happy": (
        (0.6, {"curve": 1, "wide": 0.6, "open": 0.6, "teeth": 1, "cheeks": 1, "under": -0.6,
               "lid": -0.3, "brow_raise": 0.15}),
        (0.4, {"curve": 0.9, "wide": 0.4, "cheeks": 0.8, "under": -0.5, "lid": -0.2}),
    ),
    "Sad": (
        (1.0, {"brow_inner": 0.85, "brow_raise": -0.1, "squeeze": 0.4, "lid": -0.5,
               "gaze_down": 0.9, "curve": -0.85, "wide": -0.15}),
    ),
    "Surprise": (
        (1.0, {"brow_raise": 1.25, "lid": 1, "open": 1.3, "wide": -0.45, "teeth": 0.25}),
    ),
    "Neutral": ((1.0, {}),),
}  # fmt: skip
# Strength of a class's expression: uniform between these. Weak sadness looks neutral.
STRENGTH = {
    "Angry": (0.35, 1.1), "Disgust": (0.65, 1.1), "Fear": (0.45, 1.1), "Happy": (0.4, 1.1),
    "Sad": (0.12, 1.05), "Surprise": (0.45, 1.1), "Neutral": (0, 0),
}  # fmt: skip


def synthetic_faces(n: int = 4000, seed: int = 0) -> Faces:
    """Draw `n` faces in the course's class shares; 4,000 take about 3 s on one core.

    Ids are five digits in row order, a fifth of the pictures are "test". As in FER2013, some
    pictures are byte-identical copies of others, a few of those with another label, some across
    the two splits, and one in 2,000 is blank. The same arguments give the same bytes.

    Raises
    ------
    DataError
        if n is not at least 1.
    """
    if n < 1:
        raise DataError(f"synthetic faces: {n} pictures asked for; give a number of at least 1")
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(CLASSES)), class_counts(n)))
    images = draw_images(labels, rng)
    rows = rng.permutation(n)
    blank, rows = np.split(rows, [n // BLANK_EVERY])
    images[blank] = 0
    _copy_some(images, labels, rows, rng)
    split = np.full(n, "train", dtype="<U7")
    split[rng.permutation(n)[: round(n * TEST_SHARE)]] = "test"
    ids = np.array([f"{i:05d}" for i in range(n)])
    # as near_groups would say, for no two people drawn look the same, but without a second for it
    return Faces(images, labels, ids, split, exact_groups(images), layout="synthetic")


def class_counts(n: int) -> np.ndarray:
    """(7,) int64: `n` pictures in the course's class shares, by largest remainder."""
    exact = n * np.array(COURSE_COUNTS) / sum(COURSE_COUNTS)
    counts = np.floor(exact).astype(np.int64)
    counts[np.argsort(counts - exact, kind="stable")[: n - counts.sum()]] += 1
    return counts


def draw_images(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n,) class ids -> (n, 48, 48) uint8, each a new person with that expression."""
    look = sample_looks(labels, rng)
    images = np.empty((len(labels), SIZE, SIZE), dtype=np.uint8)
    for start in range(0, len(labels), BATCH):
        part = slice(start, start + BATCH)
        batch = SimpleNamespace(**{k: v[part, None, None] for k, v in vars(look).items()})
        picture = draw(batch)
        picture += batch.noise * rng.standard_normal(picture.shape)
        images[part] = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    return images


def _copy_some(images: np.ndarray, labels: np.ndarray, rows: np.ndarray, rng) -> None:
    """Overwrite some pictures with copies of others, in place; labels stay as they are."""
    copies, originals = np.split(rows, [round(len(rows) * COPY_SHARE)])
    conflicts = set(copies[: round(len(copies) * CONFLICT_SHARE)].tolist())
    for row in copies:
        fits = (labels[originals] != labels[row]) == (int(row) in conflicts)
        if fits.any():
            images[row] = images[rng.choice(originals[fits])]


def sample_moves(labels: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """(n,) class ids -> each of MOVES as (n,) float64: the expression and everyone's own habits."""
    n = len(labels)
    moves = {name: HABIT * rng.standard_normal(n) for name in MOVES}
    moves["teeth"], moves["clench"] = rng.uniform(-0.5, 0.6, n), rng.uniform(-1, 0.4, n)
    strength, way = rng.random(n), rng.random(n)
    for label, name in enumerate(CLASSES):
        low, high = STRENGTH[name]
        floor = 0.0
        for weight, movement in WAYS[name]:
            mine = (labels == label) & (way >= floor) & (way < floor + weight)
            floor += weight
            for move, full in movement.items():
                own = rng.uniform(0.7, 1.3, n)[mine]
                moves[move][mine] += full * own * (low + (high - low) * strength[mine])
    return moves


def sample_looks(labels: np.ndarray, rng: np.random.Generator) -> SimpleNamespace:
    """(n,) class ids -> everything `drawing.draw` needs, each (n,) float64."""
    n = len(labels)

    def uniform(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, n)

    def chance(probability: float) -> np.ndarray:
        return (rng.random(n) < probability).astype(np.float64)

    look = _muscles(sample_moves(labels, rng), uniform)
    skin, hair, turn = uniform(0.48, 0.85), uniform(0.06, 0.42), 0.08 * rng.standard_normal(n)
    long = chance(0.4)
    look.update(
        # pose, in face units and radians (small: sin t = t - t^3/6)
        shift_x=uniform(-0.13, 0.13), shift_y=uniform(-0.12, 0.12),
        scale=uniform(1.06, 1.28), sin=turn, cos=np.sqrt(1 - turn**2),
        yaw=uniform(-0.13, 0.13), pitch=uniform(-0.05, 0.05),
        tilt_x=uniform(-0.08, 0.08), tilt_y=uniform(-0.08, 0.08),
        # head and hair
        head_w=uniform(0.64, 0.76), head_h=uniform(0.88, 0.98), jaw=uniform(0.12, 0.42),
        skin=skin, hair=hair, hairy=chance(0.93), hairline=uniform(-0.8, -0.55),
        hair_arch=uniform(0.05, 0.55), parting=uniform(-0.3, 0.3), volume=uniform(1.05, 1.2),
        sides=uniform(0.5, 5),
        locks=uniform(1.5, 6), fringe=chance(0.6) * uniform(0.05, 0.3),
        long=long, mane=uniform(0.35, 1.1), beard=chance(0.22) * (1 - long) * uniform(0.2, 0.75),
        nose_w=uniform(0.06, 0.1), nose_side=np.where(rng.random(n) < 0.5, -1.0, 1.0),
        socket=uniform(0.08, 0.25), lines=uniform(0.2, 1), white=np.minimum(skin + 0.28, 0.97),
        iris=uniform(0.12, 0.4), brow=hair * 0.8, brow_dark=uniform(0.7, 1),
        glasses=chance(0.1) * uniform(0.2, 1),
        # light and camera
        light_x=uniform(-0.22, 0.22), light_y=uniform(-0.15, 0.1), back=uniform(0.15, 0.85),
        back_x=uniform(-0.15, 0.15), back_y=uniform(-0.15, 0.15), back_spot=uniform(-0.25, 0.25),
        spot_u=uniform(-1, 1), spot_v=uniform(-1, 1), cloth=uniform(0.1, 0.8),
        blur=uniform(0.0, 0.18), contrast=uniform(0.85, 1.2), bright=uniform(0.45, 0.58),
        noise=uniform(0.004, 0.025),
    )  # fmt: skip
    return SimpleNamespace(**look)


def _muscles(moves: dict[str, np.ndarray], uniform) -> dict[str, np.ndarray]:
    """Movements -> the shapes of brows, eyes, nose, cheeks and mouth, in face units."""
    m = SimpleNamespace(**moves)
    return dict(
        brow_raise=m.brow_raise, brow_inner=m.brow_inner, squeeze=m.squeeze,
        brow_v=uniform(-0.36, -0.31), brow_arch=uniform(0.05, 0.25),
        brow_thick=uniform(0.03, 0.05), brow_skew=uniform(-0.015, 0.015),
        lid=np.clip(0.095 + 0.07 * m.lid + uniform(-0.015, 0.015), 0.004, 0.19),
        under=np.clip(0.05 + 0.035 * m.under, 0.004, 0.09), eye_w=uniform(0.15, 0.185),
        slant=uniform(-0.02, 0.02), gaze_x=uniform(-0.05, 0.05),
        gaze_y=np.clip(0.045 * m.gaze_down - 0.012 * m.lid, -0.02, 0.05),
        lash=uniform(0.008, 0.02), bag=m.cheeks + 0.4 * np.maximum(-m.under, 0),
        wrinkle=m.wrinkle, cheeks=m.cheeks, fold=m.cheeks + 0.8 * m.wrinkle + uniform(-0.1, 0.3),
        mouth_v=uniform(0.43, 0.49) - 0.03 * m.cheeks, mouth_w=0.3 * (1 + 0.35 * m.wide),
        curve=0.15 * m.curve, skew=uniform(-0.015, 0.015),
        round=np.clip(-3 * m.wide, 0, 1), open=np.maximum(0.21 * m.open - 0.012, 0),
        lip_raise=0.09 * np.maximum(m.lip_raise, 0),
        lip_up=uniform(0.02, 0.05), lip_low=uniform(0.03, 0.07), lip_tone=uniform(0.62, 0.9),
        teeth=np.clip(m.teeth, 0, 1), clench=np.clip(2 * m.clench - 0.8, 0, 1),
    )  # fmt: skip
