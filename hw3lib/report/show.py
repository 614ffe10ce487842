"""What a notebook shows: notebook, say, answer, derive, figure, table, result, check.

Each call leaves one output that JupyterLab shows as it is (Markdown, a picture, an HTML table) and
that carries, under the MIME type `MIME`, its words in both languages as data. The exporters read
those, so neither language can be lost on the way.
"""

from __future__ import annotations

import base64
import html
import io
import re
import sys
import unicodedata
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from hw3lib.report.document import REFERENCE
from hw3lib.text import Text, as_text, current_language, powers, set_language

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from hw3lib.data.faces import Faces
    from hw3lib.mathematics import Checked
    from hw3lib.training.study import Study

MIME = "application/vnd.hw3+json"
SYNTHETIC_NOTE = Text(zh="合成人臉，非真人資料", en="synthetic faces, not real people")
DEMO_NOTE = Text(
    zh="demo 設定檔：小網路、少影像，僅供示範流程，不作為證據",
    en="profile demo: small networks and few images show the mechanics, no evidence",
)
DPI, THUMB_DPI = 160, 40
HEAVY = 250_000  # letters of an SVG (a cloud of points, a mesh), from which the raster is smaller
POINTS, PIXELS = 72, 96  # per inch, of paper and of a browser
NEGATIVE_ZERO = re.compile(r"-0(\.0*)?%?")
SENTENCE = re.compile(r".*?(?:[。！？]|[.!?](?=\s|$))", re.DOTALL)
_real = True  # are the faces of this process real people's? until `notebook` says otherwise


def notebook(study: Study, language: str = "both") -> None:
    """Open a notebook: its language ("zh", "en" or "both"), the look of its figures, its data.

    A note says where the faces are synthetic, here and on every page of what is exported, and
    where the profile is too small for evidence.
    """
    global _real
    import matplotlib.pyplot as plt  # late, as the pages are made without it

    from hw3lib.plotting import style  # the same

    set_language(language)
    plt.rcParams.update(style.settings())
    _real = not study.faces.synthetic
    notes = [SYNTHETIC_NOTE] * study.faces.synthetic + [DEMO_NOTE] * (study.profile == "demo")
    note = {"text/markdown": "\n\n".join(map(_quiet, notes))} if notes else {}
    _show({"kind": "study", "synthetic": not _real, "language": language}, note)


def say(zh: str, en: str, **values: Any) -> None:
    """Show a sentence (Markdown) in both languages, numbers formatted from `values`.

    say(zh="準確率 {acc:.1%}", en="Accuracy {acc:.1%}", acc=0.64). A Text among the values, or a
    word of the glossary, is put into each sentence in that sentence's language. A literal brace is
    doubled.
    """
    text = Text(zh, en).format(**values)
    _show({"kind": "text", **asdict(text)}, {"text/markdown": _markdown(text)})


def answer(
    question: str,
    zh: str,
    en: str,
    short_zh: str = "",
    short_en: str = "",
    *,
    opening: bool = True,
    **values: Any,
) -> None:
    """Like `say`, marked as the answer to `question` ("A3", "B4", "M2"; several: "A3 B3").

    short_zh, short_en : the answer in one line, for the first page; else its first sentence
    opening : whether that line stands here, too, before the text that supports it
    """
    text, short = Text(zh, en).format(**values), Text(short_zh, short_en).format(**values)
    if opening and short.zh:
        text = Text(f"**{short.zh}。**\n\n{text.zh}", f"**{short.en}.**\n\n{text.en}")
    short = Text(short.zh or _first_sentence(text.zh), short.en or _first_sentence(text.en))
    shown = Text(f"**{question} 的答案**　{text.zh}", f"**Answer to {question}:** {text.en}")
    payload = {"kind": "answer", "questions": question.split(), "short": asdict(short)}
    _show(payload | asdict(text), {"text/markdown": _markdown(shown)})


def derive(
    name: str, latex: str, *, setting: str = "", each: str = "", where: str = "", zh: str, en: str
) -> Checked:
    """Show a step of a derivation: its reason, the formula as it stands, what checking it gave.

    name    : e.g. "M3.5"; the question decides on the setting where none is given
    latex, each, where : as `hw3lib.mathematics.check`; `\\\\` starts a new line before a sign
    """
    from hw3lib.mathematics import QUESTIONS, check  # torch; a command that renders needs none

    found = check(setting or QUESTIONS[name[:2]], latex, each=each, where=where)
    formula = latex + (rf" \qquad ({where})" if where else "")
    if r"\\" in latex:
        formula = rf"\begin{{aligned}} {formula} \end{{aligned}}"
    told, formula = _told(found), f"$$\n{formula}\n$$"
    reason = Text(f"**{name}**　{zh}（{told.zh}）", f"**{name}** {en} ({told.en})")
    shown = {code: f"{told}\n\n{formula}" for code, told in asdict(reason).items()}
    _show({"kind": "text", **shown}, {"text/markdown": f"{_markdown(reason)}\n\n{formula}"})
    return found


def figure(
    drawn: Any,
    *,
    zh: str,
    en: str,
    alt_zh: str = "",
    alt_en: str = "",
    ref: str = "",
    of: Faces | None = None,
    widget: Any = None,
    **values: Any,
) -> None:
    """Show a matplotlib Figure, or the one that an Axes or an array of them is of, and close it.

    zh, en : its caption, as for `say`
    alt_*  : what a blind reader hears; the caption if empty
    ref    : a name (a-z, 0-9, -) by which the notebook's Markdown refers to it: `[@name]`
    of     : the faces that its images are made of, where they are those of `publishing.exhibit`;
             any other image of a face is covered in a published report
    widget : an ipywidget that stands in its place where somebody can click; exports show `drawn`
    """
    import matplotlib.pyplot as plt  # late, as those who only read the MIME type draw nothing

    from hw3lib.plotting import publishing

    fig = drawn if hasattr(drawn, "savefig") else np.ravel(drawn)[0].figure
    caption, alt = Text(zh, en).format(**values), Text(alt_zh or zh, alt_en or en).format(**values)
    if _real and publishing.publishing():
        said = publishing.covered(fig, of)
        caption = Text(caption.zh + said.zh, caption.en + said.en)
    width, height = (float(inches) for inches in fig.get_size_inches())
    shown = _encoded(fig)
    payload = {
        "kind": "figure", "caption": asdict(caption), "alt": asdict(alt), "name": ref,
        "width": width * POINTS, "height": height * POINTS, "by_language": _by_language(fig),
        "thumb": base64.b64encode(_thumb(shown)).decode(),  # for the first screen
    }  # fmt: skip
    plain = {"text/plain": str(alt), **shown, **_widget_view(widget)}
    plt.close(fig)
    _show(payload, plain, width=round(width * PIXELS))
    _show({"kind": "caption"}, {"text/markdown": _quiet(caption, ref)})


def table(
    frame: pd.DataFrame,
    *,
    zh: str,
    en: str,
    formats: dict[str, str] | None = None,
    ref: str = "",
    **values: Any,
) -> None:
    """Show a table with its caption.

    frame   : names of columns and cells are Text, words of the glossary, other strings or numbers;
              the index is shown where it has a name
    formats : column (its English text) -> format specification, e.g. ".1%"
    ref : as in `figure`
    """
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    caption, columns = Text(zh, en).format(**values), [as_text(c) for c in frame.columns]
    specs = [(formats or {}).get(c.en, "") for c in columns]
    rows = [
        [asdict(_cell(value, spec)) for value, spec in zip(row, specs, strict=True)]
        for row in frame.itertuples(index=False)
    ]
    payload = {
        "kind": "table", "caption": asdict(caption), "name": ref,
        "columns": [asdict(c) for c in columns], "rows": rows,
        "align": ["right" if _numeric(frame.iloc[:, i]) else "left" for i in range(len(columns))],
    }  # fmt: skip
    _show(payload, {"text/html": _html_table(payload), "text/plain": frame.to_string(index=False)})
    _show({"kind": "caption"}, {"text/markdown": _quiet(caption, ref)})


def result(name: str, value: float, split: str, rule: str, n: int | None = None) -> None:
    """Record a headline number for results.json; the report does not show it.

    name : dotted, e.g. "best.test.accuracy";  split : the images it was measured on;
    rule : how whatever was chosen was chosen;  n : images
    """
    payload = {"kind": "result", "name": name, "value": float(value), "split": split, "rule": rule}
    _show(payload | {"n": n}, {"text/markdown": f"`{name}`: {_cell(float(value), ',.5g').en}"})


def check(name: str, holds: bool, *, zh: str, en: str, **values: Any) -> None:
    """Record whether something that must hold does, for the grader's panel of the web page.

    name : dotted, e.g. "best.reload";  zh, en : what was checked, formatted as by `say`
    """
    text = Text(zh, en).format(**values)
    payload = {"kind": "check", "name": name, "holds": bool(holds), **asdict(text)}
    mark = "✓" if holds else "✗"
    _show(payload, {"text/markdown": _markdown(Text(f"{mark} {text.zh}", f"{mark} {text.en}"))})


def _told(found: Checked) -> Text:
    if found.counterexample:
        *where, left, right = (f"{v:.4g}" for v in found.counterexample.values())
        at = ", ".join(map(" = ".join, zip(found.counterexample, where, strict=False)))
        return Text(
            f"**不成立**，反例 ${at}$：左邊 {left}，右邊 {right}",
            f"**refuted**: ${at}$: left {left}, right {right}",
        )
    if found.ok is None:
        why = found.reason.removeprefix("not decided: ")
        return Text(f"**無法判定**：{why}", f"**not decided**: {why}")
    if not found.ok:
        return Text(f"**未通過**：{found.reason}", f"**not accepted**: {found.reason}")
    tight = Text("", "")
    if found.attained is not None:
        tight = Text("，等號可達", ", attained")
        if not found.attained:
            tight = Text("，等號不可達", ", never attained")
    return Text(f"✓{tight.zh}", f"✓{tight.en}")


def _first_sentence(text: str) -> str:
    found = SENTENCE.match(text.strip())
    return found[0] if found else text.strip()


def _markdown(text: Text) -> str:
    """In JupyterLab, where nothing is numbered, `[@name]` is [name], as captions begin."""
    both = current_language() == "both" and text.zh != text.en
    said = f"{text.zh}\n\n{text.en}" if both else text.zh if text.zh == text.en else str(text)
    return REFERENCE.sub(r"[\1]", said)


def _quiet(text: Text, ref: str = "") -> str:
    """Small; with the name by which the text refers to what stands above."""
    parts = _markdown(text).split("\n\n")
    return (f"[{ref}] " if ref else "") + "\n\n".join(f"<small>{part}</small>" for part in parts)


def _encoded(fig: Figure) -> dict[str, Any]:
    """MIME type -> the figure: a chart as SVG, what holds images as PNG.

    A chart has a PNG, too, for JupyterLab shows no SVG of a notebook that somebody else ran.
    """
    if svg := _svg(fig):
        return {"image/svg+xml": svg, "image/png": _png(fig)}
    return {"image/png": _png(fig)}


def _by_language(fig: Figure) -> dict[str, dict[str, str]]:
    """The same for each language, for what shows one alone; none where it has one only."""
    from hw3lib.plotting import style  # late, as matplotlib above

    if current_language() != "both":
        return {}
    found = {}
    for code in ("zh", "en"):
        with style.in_language(fig, code):
            svg = _svg(fig)
            png = "" if svg else base64.b64encode(_png(fig)).decode()
        found[code] = {"image/svg+xml": svg} if svg else {"image/png": png}
    return found


def _svg(fig: Figure) -> str:
    """The figure as SVG; "" where it holds images, or would be heavy."""
    import matplotlib.pyplot as plt

    if any(ax.images for ax in fig.axes):
        return ""
    drawn, unstated = io.StringIO(), dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with plt.rc_context({"svg.hashsalt": "hw3"}):  # the same figure, the same bytes
        fig.savefig(drawn, format="svg", metadata=unstated)
    return drawn.getvalue() if len(drawn.getvalue()) <= HEAVY else ""


def _thumb(shown: dict[str, Any]) -> bytes:
    """A small PNG of it."""
    from PIL import Image

    small = io.BytesIO()
    with Image.open(io.BytesIO(shown["image/png"])) as image:
        image.convert("RGB").reduce(DPI // THUMB_DPI).save(small, "PNG")
    return small.getvalue()


def _png(fig: Figure) -> bytes:
    drawn = io.BytesIO()
    fig.savefig(drawn, format="png", dpi=DPI, metadata={"Software": None})
    return drawn.getvalue()


def _widget_view(widget: Any) -> dict[str, Any]:
    if widget is None:
        return {}
    from IPython.core.formatters import format_display_data

    data, _ = format_display_data(widget)
    return {mime: shown for mime, shown in data.items() if "widget-view" in mime}


def _show(payload: dict, plain: dict[str, Any], width: int | None = None) -> None:
    """Leave an output in the notebook; print its words where this process is no notebook's."""
    shell = sys.modules.get("IPython")
    if shell is None or shell.get_ipython() is None:
        print(plain.get("text/markdown") or plain.get("text/plain", ""))
        return
    from IPython.display import display

    sized = {"image/png": {"width": width}} if width and "image/png" in plain else {}
    display({MIME: payload, **plain}, metadata=sized, raw=True)


def _cell(value: Any, spec: str) -> Text:
    if isinstance(value, (bool, np.bool_)):
        return Text("是", "yes") if value else Text("否", "no")
    if isinstance(value, (Text, str)):
        return as_text(value)
    if value is None or value != value:  # NaN
        return as_text("–")
    if not spec and isinstance(value, (int, np.integer)) and abs(value) >= 10_000:
        spec = ","
    shown = powers(format(value, spec))
    return as_text(shown.removeprefix("-") if NEGATIVE_ZERO.fullmatch(shown) else shown)


def _numeric(column: pd.Series) -> bool:
    return all(isinstance(v, (int, float)) or hasattr(v, "dtype") for v in column)


def _in_lines(text: dict[str, str]) -> str:
    """Both languages below each other, unless case, width and blanks alone tell them apart."""
    if current_language() != "both":
        return html.escape(str(Text(**text)))
    plain = ("".join(unicodedata.normalize("NFKC", t).casefold().split()) for t in text.values())
    return html.escape("\n".join(text.values()) if len({*plain}) > 1 else text["zh"])


def _html_table(payload: dict) -> str:
    """What JupyterLab shows."""

    def line(tag: str, texts: list[dict[str, str]]) -> str:
        cells = (
            f'<{tag} style="text-align:{align};white-space:pre-line">{_in_lines(t)}</{tag}>'
            for t, align in zip(texts, payload["align"], strict=True)
        )
        return f"<tr>{''.join(cells)}</tr>"

    head = line("th", payload["columns"])
    body = "".join(line("td", row) for row in payload["rows"])
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"
