"""What a notebook shows: say, figure, table, answer, result, check.

Each call leaves one output that JupyterLab shows as it is (Markdown, a picture, an HTML table)
and that carries, under the MIME type `MIME`, the same content in both languages as data. The
exporters read only that data, so neither language can be lost or drift on the way.
"""

from __future__ import annotations

import base64
import html
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hw3lib.bilingual import LANGUAGES, Text, current_language, language

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from hw3lib.data.faces import Faces

MIME = "application/vnd.hw3+json"
SYNTHETIC_NOTE = Text(zh="合成人臉，非真人資料", en="synthetic faces, not real people")
_real = True  # are the faces of this process real people's? until `data_note` says otherwise
NEGATIVE_ZERO = re.compile(r"-0(\.0*)?%?")
TALL, SCROLLS = 20, "max-height:32em;overflow:auto"  # rows of a table, beyond which it scrolls


def say(*, zh: str, en: str, **values: Any) -> None:
    """Show a sentence (Markdown) in both languages, numbers formatted from `values`.

    say(zh="準確率 {acc:.1%}", en="Accuracy {acc:.1%}", acc=0.64). A Text among the values is
    put into each sentence in that sentence's language. A literal brace is doubled.
    """
    text = _fill(zh, en, values)
    _show({"kind": "text", "zh": text.zh, "en": text.en}, {"text/markdown": _markdown(text)})


def answer(question: str, *, zh: str, en: str, **values: Any) -> None:
    """Like `say`, marked as the answer to `question` ("A3", "B4", "M2"; several: "A3 B3")."""
    text = _fill(zh, en, values)
    head = Text(zh=f"**{question} 的答案**　", en=f"**Answer to {question}** ")
    shown = Text(head.zh + text.zh, head.en + text.en)
    payload = {"kind": "answer", "questions": question.split(), "zh": text.zh, "en": text.en}
    _show(payload, {"text/markdown": _markdown(shown)})


def figure(
    draw: Callable[[], Figure],
    *,
    zh: str,
    en: str,
    alt_zh: str = "",
    alt_en: str = "",
    ref: str = "",
    of: Faces | None = None,
    **values: Any,
) -> None:
    """Draw a figure once for each language and show it with its caption.

    `draw` takes nothing and returns a matplotlib Figure whose texts come from `tr`; it is
    called for zh, en and both. `alt_*` is what a blind reader hears (the caption if empty).
    `ref` is a name (a-z, 0-9, -) by which the notebook's Markdown refers to it: `[@name]`.
    `of` names the faces that its pictures are made of, where they are those of
    `hw3lib.portraits.exhibit`; any other picture of a face is covered in a published report.
    """
    from hw3lib import portraits
    from hw3lib.plotting.encoding import encode
    from hw3lib.plotting.style import house_style

    stands_in = portraits.publishing() and _real and of is not None and of.synthetic
    hides = portraits.publishing() and _real and not stands_in
    covered = 0
    caption, alt = _fill(zh, en, values), _fill(alt_zh or zh, alt_en or en, values)
    variants = {}
    for code in LANGUAGES:
        with language(code), house_style():  # a text takes its font when it is made
            fig = draw()
            covered += portraits.cover(fig) if hides else 0
            variants[code] = encode(fig)
    if covered or stands_in:
        said = portraits.WITHHELD if covered else portraits.STAND_INS
        caption = Text(caption.zh + said.zh, caption.en + said.en)
    payload = {
        "kind": "figure",
        "caption": {"zh": caption.zh, "en": caption.en},
        "alt": {"zh": alt.zh, "en": alt.en},
        "name": ref,
        "variants": variants,  # language -> {"mime", "data" (base64), "width", "height" in points}
    }
    chosen = variants[current_language()]
    data = chosen["data"]
    if chosen["mime"] == "image/svg+xml":
        data = base64.b64decode(data).decode()
    _show(payload, {chosen["mime"]: data, "text/plain": str(alt)})
    _show({"kind": "caption"}, {"text/markdown": _quiet(caption)})


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

    frame   : column names are strings or Text; cells are numbers, strings or Text; the index
              is not shown
    formats : column (its str, or its English text) -> format specification, e.g. ".1%"
    ref     : as in `figure`
    """
    caption = _fill(zh, en, values)
    formats = formats or {}
    columns = [_both(c) for c in frame.columns]
    specs = [formats.get(c["en"], "") for c in columns]
    rows = [
        [_both(_cell(value, spec)) for value, spec in zip(row, specs, strict=True)]
        for row in frame.itertuples(index=False)
    ]
    numeric = [
        all(isinstance(v, (int, float)) or hasattr(v, "dtype") for v in frame.iloc[:, i])
        for i in range(frame.shape[1])
    ]
    payload = {
        "kind": "table",
        "caption": {"zh": caption.zh, "en": caption.en},
        "name": ref,
        "columns": columns,  # [{"zh", "en"}]
        "rows": rows,  # [[{"zh", "en"}]]
        "align": ["right" if n else "left" for n in numeric],
    }
    _show(payload, {"text/html": _html_table(payload), "text/plain": frame.to_string(index=False)})
    _show({"kind": "caption"}, {"text/markdown": _quiet(caption)})


def result(name: str, value: float, *, split: str, rule: str, n: int | None = None) -> None:
    """Record a headline number for results.json; shows nothing in the report.

    name : dotted, e.g. "best.test.accuracy";  split : the pictures it was measured on;
    rule : how whatever was chosen was chosen;  n : pictures
    """
    payload = {"kind": "result", "name": name, "value": float(value), "split": split, "rule": rule}
    _show(payload | {"n": n}, {"text/plain": f"{name} = {value:.6g} ({split}; {rule})"})


def check(name: str, holds: bool, *, zh: str, en: str, **values: Any) -> None:
    """Record whether something that must hold does, for the grader's panel of the web page.

    name : dotted, e.g. "best.reload";  zh, en : what was checked, formatted as by `say`
    """
    text = _fill(zh, en, values)
    payload = {"kind": "check", "name": name, "holds": bool(holds), "zh": text.zh, "en": text.en}
    _show(payload, {"text/plain": f"{'✓' if holds else '✗'} {text}"})


def data_note(*, synthetic: bool) -> None:
    """Leave in a notebook whether its faces are synthetic; the exporters say so on every page."""
    global _real
    _real = not synthetic
    shell = sys.modules.get("IPython")
    if shell is None or shell.get_ipython() is None:
        return
    note = {"text/markdown": _quiet(SYNTHETIC_NOTE)} if synthetic else {}
    _show({"kind": "study", "synthetic": synthetic}, note)


def _fill(zh: str, en: str, values: dict[str, Any]) -> Text:
    def pick(code: str) -> dict[str, Any]:
        return {k: getattr(v, code) if isinstance(v, Text) else v for k, v in values.items()}

    return Text(zh=zh.format(**pick("zh")), en=en.format(**pick("en")))


def _markdown(text: Text) -> str:
    if current_language() == "both":
        return text.zh if text.zh == text.en else f"{text.zh}\n\n{text.en}"
    return str(text)


def _quiet(text: Text) -> str:
    return "\n\n".join(f"*{part}*" for part in _markdown(text).split("\n\n"))


def _show(payload: dict, plain: dict[str, str]) -> None:
    from IPython.display import display

    display({MIME: payload, **plain}, raw=True)


def _both(value: Any) -> dict[str, str]:
    return {"zh": getattr(value, "zh", str(value)), "en": getattr(value, "en", str(value))}


def _cell(value: Any, spec: str) -> Any:
    if isinstance(value, (Text, str)):
        return value
    if value is None or value != value:  # NaN
        return "–"
    shown = format(value, spec)
    return shown.removeprefix("-") if NEGATIVE_ZERO.fullmatch(shown) else shown


def _html_table(payload: dict) -> str:
    """What JupyterLab shows; a tall table scrolls."""
    code = current_language()

    def line(tag: str, texts: list[dict[str, str]]) -> str:
        cells = (
            f'<{tag} style="text-align:{align}">{html.escape(Text(**t).in_language(code))}</{tag}>'
            for t, align in zip(texts, payload["align"], strict=True)
        )
        return f"<tr>{''.join(cells)}</tr>"

    head, rows = line("th", payload["columns"]), payload["rows"]
    body = "".join(line("td", row) for row in rows)
    shown = f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"
    return shown if len(rows) <= TALL else f'<div style="{SCROLLS}">{shown}</div>'
