"""Synthetic faces, drawn by the project: what runs when no data is given.

They are drawn from numbers, implicit shapes over the 48x48 grid, many faces at a time. Every shape
is a function d(u, v), negative inside, in face units; its coverage of a pixel is a ramp one pixel
wide, so edges are smooth without drawing at a larger size. Only + - * / and square roots are used,
in float64: results agree between machines, and rounding to uint8 hides the rest.

Face units: the image spans about -1..1 in both axes, v points down, the head is about 1.8 high.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from hw3lib.data.faces import CLASSES, COURSE_COUNTS, SIZE, Faces

TEST_SHARE = 0.3
COPY_SHARE = 0.08  # copies and near copies by turns: a tenth of the test images, in FER2013 a sixth
CONFLICT_SHARE = 0.04  # of the copies carry another label than their original
BLANK_EVERY = 2000  # one image in so many is blank; FER2013 has about one in 2,500
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

    Ids are five digits in row order, three tenths of the images are "test". As in FER2013, some
    images are copies or near copies of others, a few of those with another label, some across
    the two splits, and one in 2,000 is blank. The same arguments give the same bytes.
    """
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(CLASSES)), class_counts(n)))
    images = draw_images(labels, rng)
    rows = rng.permutation(n)
    blank, rows = np.split(rows, [n // BLANK_EVERY])
    images[blank] = 0
    source = _copy_some(images, labels, rows, rng)
    source[blank] = blank[:1]
    split = np.full(n, "train", dtype="<U7")
    split[rng.permutation(n)[: round(n * TEST_SHARE)]] = "test"
    ids = np.array([f"{i:05d}" for i in range(n)])
    # as near_groups would say, for no two people drawn look the same, but without a second for it
    group = np.unique(source, return_inverse=True)[1]
    return Faces(images, labels, ids, split, group, layout="synthetic")


def class_counts(n: int) -> np.ndarray:
    """(7,) int64: `n` images in the course's class shares, by largest remainder."""
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
        drawn = draw(batch)
        drawn += batch.noise * rng.standard_normal(drawn.shape)
        images[part] = np.rint(np.clip(drawn, 0, 1) * 255).astype(np.uint8)
    return images


def _copy_some(images: np.ndarray, labels: np.ndarray, rows: np.ndarray, rng) -> np.ndarray:
    """Overwrite some images with others, in place; labels stay as they are.

    Returns the row (n,) that each image comes from.
    """
    source = np.arange(len(images))
    copies, originals = np.split(rows, [round(len(rows) * COPY_SHARE)])
    conflicts = set(copies[: round(len(copies) * CONFLICT_SHARE)].tolist())
    for number, row in enumerate(copies):
        fits = (labels[originals] != labels[row]) == (int(row) in conflicts)
        if fits.any():
            source[row] = rng.choice(originals[fits])
            images[row] = images[source[row]]
            if number % 2:
                images[row] = _near_copy(images[row], rng)
    return source


def _near_copy(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(48, 48) uint8 as if cropped by other hands, and a little brighter or darker."""
    top, left = rng.integers(0, 5, 2)
    moved = np.pad(image, 2, mode="edge")[top : top + SIZE, left : left + SIZE]
    return np.rint(np.clip(moved * rng.uniform(0.85, 1.15), 0, 255)).astype(np.uint8)


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
    """(n,) class ids -> everything `draw` needs, each (n,) float64."""
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


# drawing

EYE_U, EYE_V = 0.32, -0.10  # centre of the right eye
UPPER, MIDDLE, LOWER = slice(0, 32), slice(10, 40), slice(20, SIZE)  # rows a part can reach


def draw(look: SimpleNamespace) -> np.ndarray:
    """Draw B faces.

    look : every attribute is (B, 1, 1) float64; see `sample_looks` for the names
    Returns (B, 48, 48) float64, 0 black to 1 white, not clipped.
    """
    g = _grid(look)
    canvas = _background(look, g)
    _head(canvas, look, g)
    for part, rows in (
        (_forehead, UPPER),
        (_hair, UPPER),
        (_nose, MIDDLE),
        (_cheeks, LOWER),
        (_beard, LOWER),
        (_mouth, LOWER),
        (_eyes, UPPER),
        (_brows, UPPER),
        (_glasses, UPPER),
    ):
        window = SimpleNamespace(
            **{k: a[:, rows] if a.shape[1] > 1 else a for k, a in vars(g).items()}
        )
        part(canvas[:, rows], look, window)
    return _photograph(canvas, look)


def _grid(p: SimpleNamespace) -> SimpleNamespace:
    """Pixel centres in head units (u, v) and on the turned face (fu, fv), its half |fu|."""
    y, x = (np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2) / (SIZE / 2)
    x, y = x[None] - p.shift_x, y[None] - p.shift_y
    near = 1 / (p.scale * (1 + p.tilt_x * x + p.tilt_y * y))
    u = (p.cos * x + p.sin * y) * near
    v = (p.cos * y - p.sin * x) * near
    fu, fv = (u - p.yaw) * (1 + p.yaw * u), v - p.pitch
    return SimpleNamespace(
        u=u, v=v, fu=fu, fv=fv, half=np.abs(fu), side=np.sign(fu), px=1 / (24 * p.scale)
    )


def _cover(d: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Share of each pixel inside d < 0, the edge `width` wide."""
    return np.clip(d * (-1 / width) + 0.5, 0, 1)


def _bump(u: np.ndarray, v: np.ndarray, ru: float, rv: float) -> np.ndarray:
    """A soft spot: 1 in the middle, 0 from the ellipse with half axes ru, rv outwards."""
    k = np.maximum(u * u * (-1 / (ru * ru)) - v * v * (1 / (rv * rv)) + 1, 0)
    return k * k


def _paint(canvas: np.ndarray, cover: np.ndarray, tone: np.ndarray | float) -> None:
    canvas += cover * (tone - canvas)


def _shade(canvas: np.ndarray, cover: np.ndarray, depth: np.ndarray | float) -> None:
    """Darken by `depth` (brighten where it is negative) under `cover`."""
    canvas *= 1 - depth * cover


def _background(p: SimpleNamespace, g: SimpleNamespace) -> np.ndarray:
    canvas = p.back + p.back_x * g.u + p.back_y * g.v
    canvas += p.back_spot * _bump(g.u - p.spot_u, g.v - p.spot_v, 0.7, 0.7)
    shoulders = 0.75 + 0.45 * (g.u - p.yaw / 2) ** 2 - g.v
    _paint(canvas, _cover(shoulders, 2 * g.px), p.cloth)
    above = np.minimum(g.v + 0.1, 0)
    mane = (g.u / (p.head_w * 1.22)) ** 2 + (above / (p.volume * p.head_h)) ** 2 - 1
    mane = np.maximum(mane / 2, g.v - p.mane)
    _paint(canvas, p.long * _cover(mane, 2 * g.px), p.hair * 0.8)
    return canvas


def _head(canvas: np.ndarray, p: SimpleNamespace, g: SimpleNamespace) -> None:
    ear = ((np.abs(g.u) - p.head_w * 0.97) / 0.1) ** 2 + ((g.fv - 0.02) / 0.19) ** 2 - 1
    _paint(canvas, (1 - p.long) * _cover(ear * 0.06, g.px), p.skin * 0.86)
    below = np.maximum(g.v, 0)
    width = p.head_w * (1 - p.jaw * below * below)
    q = (g.u / width) ** 2 + (g.v / p.head_h) ** 2
    g.q = q
    inside = _cover((np.sqrt(q) - 1) * p.head_w, g.px)
    light = p.light_x * g.fu + p.light_y * g.fv
    _paint(canvas, inside, p.skin * (1.06 + light - 0.25 * q * q))


def _forehead(canvas: np.ndarray, p: SimpleNamespace, g: SimpleNamespace) -> None:
    dark = 0.3 * np.clip(p.brow_raise, 0, 1.2) * p.lines
    lifted = g.fv - 0.12 * g.fu * g.fu
    for v in (-0.50, -0.61):
        line = np.maximum(np.abs(lifted - v) - 0.012, g.half - 0.33)
        _shade(canvas, _cover(line, 1.6 * g.px), dark)
    frown = np.maximum(np.abs(g.half - 0.05) - 0.012, np.abs(g.fv + 0.27) - 0.09)
    _shade(canvas, _cover(frown, 1.4 * g.px), 0.42 * np.clip(p.squeeze, 0, 1))


def _hair(canvas: np.ndarray, p: SimpleNamespace, g: SimpleNamespace) -> None:
    outer = np.sqrt((g.u / (p.head_w * 1.1)) ** 2 + (g.v / (p.head_h * p.volume)) ** 2) - 1
    away = g.u - p.parting
    strand = away * p.locks
    strand = np.abs(strand - np.rint(strand))  # 0..0.5, a zigzag: locks of the fringe
    line = g.v - p.hairline - p.hair_arch * away * away - p.fringe * strand
    line -= p.sides * np.maximum(g.half - 0.5, 0)
    cover = _cover(np.maximum(outer, line) * 0.8, 1.4 * g.px)
    gloss = 1.05 - 0.3 * strand + 0.9 * p.light_x * g.u
    _paint(canvas, p.hairy * cover, p.hair * gloss)


def _nose(canvas: np.ndarray, p: SimpleNamespace, g: SimpleNamespace) -> None:
    u, v, half = g.fu, g.fv, g.half
    tip = 0.2 - 0.05 * p.wrinkle
    _shade(canvas, _bump(u - p.nose_side * 0.1, v - 0.02, 0.1, 0.32), 0.16)
    _shade(canvas, _bump(u, v - tip + 0.04, 0.09, 0.14), -0.14)
    _shade(canvas, _bump(half - p.nose_w, v - tip - 0.04, 0.06, 0.06), 0.6)
    wing = np.abs(np.sqrt((half - p.nose_w) ** 2 + (v - tip) ** 2) - 0.08) - 0.008
    _shade(canvas, _cover(np.maximum(wing, p.nose_w - half), g.px), 0.28)
    chevron = v - 0.5 * half
    for at in (-0.15, -0.05, 0.05):
        line = np.maximum(np.abs(chevron - at) - 0.012, half - 0.14)
        _shade(canvas, _cover(line, 1.3 * g.px), 0.42 * np.clip(p.wrinkle, 0, 1))


def _cheeks(canvas: np.ndarray, p: SimpleNamespace, g: SimpleNamespace) -> None:
    _shade(canvas, _bump(g.half - 0.4, g.fv - 0.18, 0.22, 0.16), -0.13 * np.clip(p.cheeks, 0, 1))
    fold = np.abs(g.half - 0.17 - 0.55 * (g.fv - 0.18)) - 0.012
    fold = np.maximum(fold, np.abs(g.fv - 0.3) - 0.12)
    _shade(canvas, _cover(fold, 1.6 * g.px), 0.3 * np.clip(p.fold, 0, 1))
    _shade(canvas, _bump(g.fu, g.fv - p.mouth_v - 0.19 - 0.5 * p.open, 0.2, 0.07), 0.22)


def _beard(canvas: np.ndarray, p: SimpleNamespace, g: SimpleNamespace) -> None:
    """Moustache and beard; 0 of both on the faces that have none."""
    along_jaw = np.maximum(np.maximum(0.55 - g.q, g.q - 1), 0.1 - g.fv) * 0.5
    lip = np.abs(g.fv - p.mouth_v + 0.12 - 0.8 * g.half * g.half) - 0.035
    lip = _cover(np.maximum(lip, g.half - 0.22), 1.5 * g.px)
    _paint(canvas, p.beard * np.maximum(_cover(along_jaw, 3 * g.px), lip), p.hair)


def _mouth(canvas: np.ndarray, p: SimpleNamespace, g: SimpleNamespace) -> None:
    a = g.fu / p.mouth_w
    a2 = a * a
    arch = np.maximum(1 - a2, 0)
    full = arch + p.round * (np.sqrt(arch) - arch)
    middle = p.mouth_v - p.curve * (a2 - 0.4) + p.skew * a
    top = middle - p.open * 0.4 * full - p.lip_raise * np.maximum(1 - a2 * a2, 0)
    bottom = middle + p.open * full
    beyond = (np.abs(a) - 1) * p.mouth_w
    lips = np.maximum(top - p.lip_up * arch - g.fv, g.fv - bottom - p.lip_low * arch)
    _paint(canvas, _cover(np.maximum(lips, beyond), 1.3 * g.px), p.skin * p.lip_tone)
    room = bottom - top
    inside = np.maximum(np.maximum(top - g.fv, g.fv - bottom), beyond)
    wide_open = np.minimum(room / 0.06, 1)
    _paint(
        canvas, _cover(inside, g.px), 0.1 + (p.white - 0.1) * wide_open * _teeth(p, g, top, bottom)
    )
    line = np.maximum(np.abs(g.fv - (top + bottom) / 2) - 0.02, beyond - 0.03)
    _shade(canvas, _cover(line, 1.3 * g.px), 0.62 * np.maximum(1 - room / 0.07, 0))
    corner = g.fv - p.mouth_v + p.curve * 0.6
    _shade(canvas, _bump(beyond, corner, 0.06, 0.06), 0.35)


def _teeth(p: SimpleNamespace, g: SimpleNamespace, top: np.ndarray, bottom: np.ndarray):
    """Share of each pixel that is tooth: the upper row, or both rows clenched."""
    upper = _cover(g.fv - top - 0.1, g.px)
    gap = np.abs(g.fv - (top + bottom) / 2) - 0.006
    return np.maximum(p.teeth * upper, p.clench * (1 - 0.5 * _cover(gap, g.px)))


def _eyes(canvas: np.ndarray, p: SimpleNamespace, g: SimpleNamespace) -> None:
    x, y = g.half - EYE_U, g.fv - EYE_V
    _shade(canvas, _bump(x, y + 0.04, 0.26, 0.2), p.socket)
    a = x / p.eye_w
    y = y + p.slant * a
    arch = 1 - a * a
    over, under = y + p.lid * arch, y - p.under * arch
    eye = _cover(np.maximum(-over, under), g.px)
    dx, dy = x - p.gaze_x * g.side, y - p.gaze_y
    r = np.sqrt(dx * dx + dy * dy)
    ball = p.white - (p.white - p.iris) * _cover(r - 0.085, g.px)
    ball -= ball * 0.85 * _cover(r - 0.043, g.px)
    ball += 0.8 * _bump(dx + 0.03 * g.side, dy + 0.03, 0.045, 0.045)
    _paint(canvas, eye, ball)
    ends = (np.abs(a) - 1.12) * p.eye_w
    lash = np.maximum(np.abs(over) - p.lash, ends)
    _shade(canvas, _cover(lash, 1.2 * g.px), 0.8)
    crease = np.maximum(np.abs(over + 0.055) - 0.005, ends)
    _shade(canvas, _cover(crease, 1.3 * g.px), 0.22)
    bag = np.maximum(np.abs(under - 0.035) - 0.008, ends)
    _shade(canvas, _cover(bag, 1.4 * g.px), 0.3 * np.clip(p.bag, 0.1, 1))


def _brows(canvas: np.ndarray, p: SimpleNamespace, g: SimpleNamespace) -> None:
    b = (g.half - 0.13 + 0.06 * np.clip(p.squeeze, -0.5, 1)) / 0.43  # 0 inner end, 1 outer
    c = 1 - np.clip(b, 0, 1)
    bend = b - 0.55
    height = p.brow_v - 0.11 * p.brow_raise + p.brow_skew * g.side + p.brow_arch * bend * bend
    height += p.brow_inner * (0.02 - 0.02 * c - 0.19 * c * c)
    d = np.abs(g.fv - height) * 0.92 - p.brow_thick * (0.45 + 0.55 * c)
    d = np.maximum(d, (np.abs(b - 0.5) - 0.5) * 0.43)
    _paint(canvas, p.brow_dark * _cover(d, 1.2 * g.px), p.brow)


def _glasses(canvas: np.ndarray, p: SimpleNamespace, g: SimpleNamespace) -> None:
    ring = np.abs(np.sqrt((g.half - EYE_U) ** 2 + 1.15 * (g.fv - EYE_V - 0.02) ** 2) - 0.235)
    bar = np.abs(g.fv - EYE_V + 0.03)
    bridge = np.maximum(bar, g.half - 0.066)
    reach = p.head_w / 2
    arm = np.maximum(bar, np.abs(g.half - 0.27 - reach) - reach + 0.27)
    frame = np.minimum(np.minimum(ring, bridge), arm) - 0.016
    _paint(canvas, 0.85 * (p.glasses > 0) * _cover(frame, g.px), p.glasses * 0.25)


def _photograph(canvas: np.ndarray, p: SimpleNamespace) -> np.ndarray:
    """Blur, contrast and brightness of the camera (the noise is added by the caller)."""
    side = p.blur
    wide = np.pad(canvas, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = wide[:, 1:-1] * (1 - 2 * side) + (wide[:, :-2] + wide[:, 2:]) * side
    soft = rows[:, :, 1:-1] * (1 - 2 * side) + (rows[:, :, :-2] + rows[:, :, 2:]) * side
    return p.bright + p.contrast * (soft - 0.5)
