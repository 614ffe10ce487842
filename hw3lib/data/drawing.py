"""Draw grey faces from numbers: implicit shapes over the 48x48 grid, many faces at a time.

Every shape is a function d(u, v), negative inside, in face units; its coverage of a pixel is a
ramp one pixel wide, so edges are smooth without drawing at a larger size. Only + - * / and square
roots are used, in float64: results agree between machines, and rounding to uint8 hides the rest.

Face units: the picture spans about -1..1 in both axes, v points down, the head is about 1.8 high.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from hw3lib.data.faces import SIZE

EYE_U, EYE_V = 0.31, -0.10  # centre of the right eye
UPPER, LOWER = slice(0, 32), slice(22, SIZE)  # rows where brows and eyes, nose and mouth can be


def draw(look: SimpleNamespace) -> np.ndarray:
    """Draw B faces.

    look : every attribute is (B, 1, 1) float64; see `synthetic.sample_looks` for the names
    Returns (B, 48, 48) float64, 0 black to 1 white, not clipped.
    """
    g = _grid(look)
    canvas = _background(look, g)
    _head(canvas, look, g)
    top = SimpleNamespace(**{k: v[:, UPPER] for k, v in vars(g).items() if k != "px"}, px=g.px)
    low = SimpleNamespace(**{k: v[:, LOWER] for k, v in vars(g).items() if k != "px"}, px=g.px)
    _forehead(canvas[:, UPPER], look, top)
    _hair(canvas[:, UPPER], look, top)
    _nose(canvas, look, g)
    _cheeks(canvas[:, LOWER], look, low)
    _mouth(canvas[:, LOWER], look, low)
    _eyes(canvas[:, UPPER], look, top)
    _brows(canvas[:, UPPER], look, top)
    _extras(canvas, look, g)
    return _photograph(canvas, look)


def _grid(p: SimpleNamespace) -> SimpleNamespace:
    """Pixel centres in head units (u, v) and on the turned face (fu, fv), its half |fu|."""
    y, x = (np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2) / (SIZE / 2)
    x, y = x[None] - p.shift_x, y[None] - p.shift_y
    depth = p.scale * (1 + p.tilt_x * x + p.tilt_y * y)
    u = (p.cos * x + p.sin * y) / depth
    v = (p.cos * y - p.sin * x) / depth
    fu, fv = (u - p.yaw) * (1 + p.yaw * u), v - p.pitch
    return SimpleNamespace(
        u=u, v=v, fu=fu, fv=fv, half=np.abs(fu), side=np.sign(fu), px=1 / (24 * p.scale)
    )


def _cover(d: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Share of each pixel inside d < 0, the edge `width` wide."""
    return np.clip(0.5 - d / width, 0.0, 1.0)


def _bump(u: np.ndarray, v: np.ndarray, ru: float, rv: float) -> np.ndarray:
    """A soft spot: 1 in the middle, 0 from the ellipse with half axes ru, rv outwards."""
    k = np.maximum(0.0, 1 - (u / ru) ** 2 - (v / rv) ** 2)
    return k * k


def _paint(canvas: np.ndarray, cover: np.ndarray, tone: np.ndarray | float) -> None:
    canvas += cover * (tone - canvas)


def _background(p: SimpleNamespace, g: SimpleNamespace) -> np.ndarray:
    canvas = p.back + p.back_x * g.u + p.back_y * g.v
    canvas += p.back_spot * _bump(g.u - p.spot_u, g.v - p.spot_v, 0.7, 0.7)
    shoulders = 0.72 + 0.45 * (g.u - p.yaw / 2) ** 2 - g.v
    _paint(canvas, _cover(shoulders, 2 * g.px), p.cloth)
    long_hair = np.maximum(
        (g.u / (p.head_w * 1.2)) ** 2 + (np.minimum(g.v + 0.1, 0) / 0.9) ** 2 - 1, g.v - 0.75
    )
    _paint(canvas, p.long * _cover(long_hair / 2, 2 * g.px), p.hair * 0.85)
    return canvas


def _head(canvas: np.ndarray, p: SimpleNamespace, g: SimpleNamespace) -> None:
    ear = ((np.abs(g.u) - p.head_w * 0.98) / 0.1) ** 2 + ((g.fv - 0.02) / 0.19) ** 2 - 1
    _paint(canvas, _cover(ear * 0.06, g.px), p.skin * 0.86)
    below = np.maximum(g.v, 0)
    width = p.head_w * (1 - p.jaw * below * below)
    q = (g.u / width) ** 2 + (g.v / p.head_h) ** 2
    inside = _cover((np.sqrt(q) - 1) * p.head_w, g.px)
    _paint(canvas, inside, p.skin * (1.05 - 0.22 * q * q + p.light_x * g.fu + p.light_y * g.fv))


def _forehead(canvas: np.ndarray, p: SimpleNamespace, g: SimpleNamespace) -> None:
    dark = np.maximum(p.brow_raise, 0) * p.lines
    lift = 0.12 * g.fu * g.fu
    for v in (-0.50, -0.61):
        line = np.maximum(np.abs(g.fv - v - lift) - 0.012, g.half - 0.33)
        canvas *= 1 - 0.3 * dark * _cover(line, 1.6 * g.px)
    frown = np.maximum(np.abs(g.half - 0.05) - 0.012, np.abs(g.fv + 0.27) - 0.09)
    canvas *= 1 - 0.45 * np.clip(p.squeeze, 0, 1) * _cover(frown, 1.4 * g.px)


def _hair(canvas: np.ndarray, p: SimpleNamespace, g: SimpleNamespace) -> None:
    outer = np.sqrt((g.u / (p.head_w * 1.08)) ** 2 + (g.v / (p.head_h * 1.08)) ** 2) - 1
    line = g.v - (p.hairline + p.hair_arch * (g.u - p.parting) ** 2)
    cover = _cover(np.maximum(outer * 0.8, line * 0.8), 1.5 * g.px)
    _paint(canvas, p.hairy * cover, p.hair * (1 - 0.35 * (g.u - p.light_x) ** 2))


def _nose(canvas: np.ndarray, p: SimpleNamespace, g: SimpleNamespace) -> None:
    rows = slice(8, 40)
    c, u, v, half = canvas[:, rows], g.fu[:, rows], g.fv[:, rows], g.half[:, rows]
    tip = 0.2 - 0.05 * p.wrinkle
    c *= 1 - 0.16 * _bump(u - p.nose_side * 0.1, v - 0.02, 0.1, 0.32)
    c *= 1 + 0.14 * _bump(u, v - tip + 0.04, 0.09, 0.14)
    nostril = _bump(half - p.nose_w, v - tip - 0.04, 0.06, 0.05 + 0.02 * p.wrinkle)
    c *= 1 - 0.6 * nostril
    wing = np.abs(np.sqrt((half - p.nose_w) ** 2 + (v - tip) ** 2) - 0.08) - 0.008
    c *= 1 - 0.28 * _cover(np.maximum(wing, p.nose_w - half), g.px)
    for at in (-0.13, -0.03, 0.07):
        line = np.maximum(np.abs(v - at - 0.45 * half) - 0.016, half - 0.15)
        c *= 1 - 0.5 * np.clip(p.wrinkle, 0, 1) * _cover(line, 1.2 * g.px)


def _cheeks(canvas: np.ndarray, p: SimpleNamespace, g: SimpleNamespace) -> None:
    raised = np.clip(p.cheeks, 0, 1)
    canvas *= 1 + 0.13 * raised * _bump(g.half - 0.4, g.fv - 0.18, 0.22, 0.16)
    fold = np.abs(g.half - 0.17 - 0.55 * (g.fv - 0.18)) - 0.012
    fold = np.maximum(fold, np.abs(g.fv - 0.3) - 0.12)
    canvas *= 1 - 0.3 * np.clip(p.fold, 0, 1) * _cover(fold, 1.6 * g.px)
    canvas *= 1 - 0.22 * _bump(g.fu, g.fv - p.mouth_v - 0.19 - 0.5 * p.open, 0.2, 0.07)


def _mouth(canvas: np.ndarray, p: SimpleNamespace, g: SimpleNamespace) -> None:
    a = g.fu / p.mouth_w
    a2 = a * a
    arch = np.maximum(1 - a2, -0.3)
    flat = np.maximum(1 - a2 * a2, -0.3)
    middle = p.mouth_v - p.curve * (a2 - 0.4) + p.skew * a
    top = middle - p.open * 0.35 * arch - p.lip_raise * flat
    bottom = middle + p.open * arch
    beyond = (np.abs(a) - 1) * p.mouth_w
    lips = np.maximum(top - p.lip_up * arch - g.fv, g.fv - bottom - p.lip_low * arch)
    _paint(canvas, _cover(np.maximum(lips, beyond), 1.3 * g.px), p.skin * p.lip_tone)
    inside = _cover(np.maximum(np.maximum(top - g.fv, g.fv - bottom), beyond), g.px)
    room = bottom - top
    upper = _cover(g.fv - top - 0.1, g.px)
    lower = _cover(bottom - g.fv - 0.07, g.px)
    gap = np.abs(g.fv - (top + bottom) / 2) - 0.006
    clenched = 1 - 0.5 * _cover(gap, g.px)
    teeth = np.maximum(p.teeth * upper, p.clench * np.maximum(clenched, lower))
    tone = 0.1 + (p.white - 0.1) * teeth * np.clip(room / 0.06, 0, 1)
    _paint(canvas, inside, tone)
    line = np.maximum(np.abs(g.fv - (top + bottom) / 2) - 0.014, beyond - 0.03)
    canvas *= 1 - 0.62 * _cover(line, 1.3 * g.px) * np.clip(1 - room / 0.07, 0, 1)
    corner = _bump(np.abs(a) * p.mouth_w - p.mouth_w, g.fv - p.mouth_v + p.curve * 0.6, 0.06, 0.06)
    canvas *= 1 - 0.35 * corner


def _eyes(canvas: np.ndarray, p: SimpleNamespace, g: SimpleNamespace) -> None:
    canvas *= 1 - p.socket * _bump(g.half - EYE_U, g.fv - EYE_V + 0.04, 0.26, 0.2)
    x, y = g.half - EYE_U, g.fv - EYE_V
    a = x / p.eye_w
    y = y + p.slant * a
    arch = 1 - a * a
    upper, lower = -p.lid * arch, p.under * arch
    eye = _cover(np.maximum(upper - y, y - lower), g.px)
    r = np.sqrt((x - p.gaze_x * g.side) ** 2 + (y - p.gaze_y) ** 2)
    ball = p.white - (p.white - p.iris) * _cover(r - 0.082, g.px)
    ball -= ball * 0.85 * _cover(r - 0.042, g.px)
    shine = _bump(x + (0.03 - p.gaze_x) * g.side, y + 0.03 - p.gaze_y, 0.045, 0.045)
    _paint(canvas, eye, ball + 0.8 * shine)
    near = np.abs(a) - 1.12
    lash = np.maximum(np.abs(y - upper) - p.lash, near * p.eye_w)
    canvas *= 1 - 0.8 * _cover(lash, 1.2 * g.px)
    crease = np.maximum(np.abs(y - upper + 0.055) - 0.005, near * p.eye_w)
    canvas *= 1 - 0.22 * _cover(crease, 1.3 * g.px)
    bag = np.maximum(np.abs(y - lower - 0.035) - 0.008, near * p.eye_w)
    canvas *= 1 - 0.3 * np.clip(p.bag, 0.1, 1) * _cover(bag, 1.4 * g.px)


def _brows(canvas: np.ndarray, p: SimpleNamespace, g: SimpleNamespace) -> None:
    inner = 0.13 - 0.06 * np.clip(p.squeeze, -0.5, 1)
    b = (g.half - inner) / 0.43
    c = 1 - np.clip(b, 0, 1)
    height = p.brow_v - 0.1 * p.brow_raise - 0.17 * p.brow_inner * c * c
    height = (
        height
        + 0.02 * p.brow_inner * (1 - c)
        + p.brow_arch * (b - 0.55) ** 2
        + p.brow_skew * g.side
    )
    d = np.abs(g.fv - height) * 0.92 - p.brow_thick * (0.45 + 0.55 * c)
    d = np.maximum(d, np.maximum(-b, b - 1) * 0.43)
    _paint(canvas, p.brow_dark * _cover(d, 1.2 * g.px), p.brow)


def _extras(canvas: np.ndarray, p: SimpleNamespace, g: SimpleNamespace) -> None:
    """Glasses, moustache and beard, drawn on the faces that have them only."""
    on = np.flatnonzero(p.glasses[:, 0, 0])
    half, v, px = g.half[on], g.fv[on], g.px[on]
    ring = np.sqrt((half - EYE_U) ** 2 + 1.15 * (v - EYE_V - 0.02) ** 2) - 0.235
    bridge = np.maximum(np.abs(v - EYE_V + 0.03) - 0.014, half - 0.08)
    arm = np.maximum(np.abs(v - EYE_V + 0.02) - 0.014, 0.54 - half)
    arm = np.maximum(arm, half - p.head_w[on])
    frame = np.minimum(np.minimum(np.abs(ring) - 0.016, bridge), arm)
    part = canvas[on]
    _paint(part, 0.85 * _cover(frame, px), p.glasses[on] * 0.25)
    canvas[on] = part


def _photograph(canvas: np.ndarray, p: SimpleNamespace) -> np.ndarray:
    """Blur, contrast and brightness of the camera (the noise is added by the caller)."""
    side = p.blur
    wide = np.pad(canvas, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = wide[:, 1:-1] * (1 - 2 * side) + (wide[:, :-2] + wide[:, 2:]) * side
    soft = rows[:, :, 1:-1] * (1 - 2 * side) + (rows[:, :, :-2] + rows[:, :, 2:]) * side
    return p.bright + p.contrast * (soft - 0.5)
