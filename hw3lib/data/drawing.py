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

EYE_U, EYE_V = 0.32, -0.10  # centre of the right eye
UPPER, MIDDLE, LOWER = slice(0, 32), slice(10, 40), slice(20, SIZE)  # rows a part can reach


def draw(look: SimpleNamespace) -> np.ndarray:
    """Draw B faces.

    look : every attribute is (B, 1, 1) float64; see `synthetic.sample_looks` for the names
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
    c = d * (-1 / width)
    c += 0.5
    np.maximum(c, 0.0, out=c)
    return np.minimum(c, 1.0, out=c)


def _bump(u: np.ndarray, v: np.ndarray, ru: float, rv: float) -> np.ndarray:
    """A soft spot: 1 in the middle, 0 from the ellipse with half axes ru, rv outwards."""
    k = u * u
    k *= -1 / (ru * ru)
    w = v * v
    w *= 1 / (rv * rv)
    k -= w
    k += 1
    np.maximum(k, 0.0, out=k)
    return np.multiply(k, k, out=k)


def _paint(canvas: np.ndarray, cover: np.ndarray, tone: np.ndarray | float) -> None:
    canvas += cover * (tone - canvas)


def _shade(canvas: np.ndarray, cover: np.ndarray, depth: np.ndarray | float) -> None:
    """Darken by `depth` (brighten where it is negative) under `cover`, which is used up."""
    cover *= -depth
    cover += 1
    canvas *= cover


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
    """Moustache and beard, drawn only on the faces that have them."""
    on = np.flatnonzero(p.beard[:, 0, 0])
    px, q, v, half = g.px[on], g.q[on], g.fv[on], g.half[on]
    along_jaw = np.maximum(np.maximum(0.55 - q, q - 1), 0.1 - v) * 0.5
    lip = np.abs(v - p.mouth_v[on] + 0.12 - 0.8 * half * half) - 0.035
    cover = np.maximum(_cover(along_jaw, 3 * px), _cover(np.maximum(lip, half - 0.22), 1.5 * px))
    part = canvas[on]
    _paint(part, p.beard[on] * cover, p.hair[on])
    canvas[on] = part


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
    """Drawn only on the faces that wear them."""
    on = np.flatnonzero(p.glasses[:, 0, 0])
    half, v, px = g.half[on], g.fv[on], g.px[on]
    ring = np.abs(np.sqrt((half - EYE_U) ** 2 + 1.15 * (v - EYE_V - 0.02) ** 2) - 0.235)
    bar = np.abs(v - EYE_V + 0.03)
    bridge = np.maximum(bar, half - 0.066)
    reach = p.head_w[on] / 2
    arm = np.maximum(bar, np.abs(half - 0.27 - reach) - reach + 0.27)
    frame = np.minimum(np.minimum(ring, bridge), arm) - 0.016
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
