"""Two languages from one source: the current language, the glossary, `tr` and `Text`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from hw3lib import UserError

LANGUAGES = ("zh", "en", "both")
_session = (
    "both"  # what set_language chose; a notebook's cells may each run in a context of their own
)
_within: ContextVar[str | None] = ContextVar("language", default=None)

# The one glossary: every term is translated one way only, in prose, tables and figures.
GLOSSARY: dict[str, str] = {
    "Angry": "生氣",
    "Disgust": "厭惡",
    "Fear": "恐懼",
    "Happy": "高興",
    "Sad": "難過",
    "Surprise": "驚訝",
    "Neutral": "中立",
    "accuracy": "準確率",
    "loss": "損失",
    "epoch": "訓練週期",
    "class": "類別",
    "training": "訓練",
    "validation": "驗證",
    "test": "測試",
    "true class": "真實類別",
    "predicted class": "預測類別",
    "recall": "召回率",
    "precision": "精確率",
    "F1": "F1",
    "macro F1": "巨集 F1",
    "balanced accuracy": "平衡準確率",
    "confusion matrix": "混淆矩陣",
    "interval": "信賴區間",
    "ensemble": "集成",
    "confidence": "信心",
    "calibration": "校準",
    "temperature": "溫度",
    "decision rule": "決策規則",
    "prior": "先驗機率",
    "posterior": "後驗機率",
    "saliency map": "顯著圖",
    "attribution": "歸因",
    "gradient": "梯度",
    "Integrated Gradients": "積分梯度",
    "guided backprop": "導引反向傳播",
    "filter": "濾波器",
    "kernel": "卷積核",
    "response": "反應",
    "strength": "強度",
    "receptive field": "感受野",
}

# Settings of a Recipe that are words, as tables show them.
SETTINGS: dict[str, str] = {
    "none": "無",
    "horizontal": "左右",
    "vertical": "上下",
    "alternating": "左右輪流",
    "constant": "固定",
    "onecycle": "單週期（先升後降）",
    "linear": "線性下降",
    "cosine": "餘弦下降",
    "last": "最後一個",
    "best": "驗證損失最低的",
}


@dataclass(frozen=True)
class Text:
    """A text in both languages; `str()` gives it in the current one."""

    zh: str
    en: str

    def __str__(self) -> str:
        return self.in_language(current_language())

    def in_language(self, language: str) -> str:
        if language == "both":
            return self.zh if self.zh == self.en else f"{self.zh} {self.en}"
        return self.zh if language == "zh" else self.en

    def format(self, **values) -> Text:
        return Text(self.zh.format(**values), self.en.format(**values))


def term(english: str) -> Text:
    """The glossary's entry; KeyError names a term that is not in it."""
    return Text(zh=GLOSSARY[english], en=english)


def as_text(value: object) -> Text:
    """A Text as it is, a word of the glossary in both languages, anything else the same in both."""
    if isinstance(value, Text):
        return value
    if isinstance(value, tuple):  # a column of a table with several header rows
        return Text(
            *(" ".join(t) for t in zip(*((x.zh, x.en) for x in map(as_text, value)), strict=True))
        )
    return Text(GLOSSARY.get(str(value), str(value)), str(value))


def setting(value: object) -> Text:
    """A setting of a Recipe for a table: words in both languages, anything else as it is."""
    return Text(SETTINGS.get(str(value), str(value)), str(value))


def listing(texts: Iterable[Text | str]) -> Text:
    """Texts in a row: "a、b、c" and "a, b, c"."""
    texts = [as_text(t) for t in texts]
    return Text("、".join(t.zh for t in texts), ", ".join(t.en for t in texts))


def verdict(holds: bool | None) -> Text:
    """What the numbers say about a claim; None where they lean to it but could be chance."""
    if holds is None:
        return Text("證據不足", "is not shown")
    return Text("成立", "holds") if holds else Text("不成立", "does not hold")


def tr(zh: str, en: str) -> str:
    """The text in the current language: "zh en" where the language is "both"."""
    return str(Text(zh, en))


def current_language() -> str:
    return _within.get() or _session


def set_language(code: str) -> None:
    """The language of what is shown from now on, outside `language` blocks."""
    global _session
    _session = _known(code)


def _known(code: str) -> str:
    if code not in LANGUAGES:
        raise UserError(f"language {code!r}: choose one of {', '.join(LANGUAGES)}")
    return code


@contextmanager
def language(code: str) -> Iterator[None]:
    """Within the block, `tr`, `str(Text)` and figures speak `code` (one of LANGUAGES)."""
    token = _within.set(_known(code))
    try:
        yield
    finally:
        _within.reset(token)
