"""What hw3lib.report.show leaves in a notebook, checked before use: anyone can write one."""

from __future__ import annotations

from typing import Any

from hw3lib import UserError
from hw3lib.text import LANGUAGES

TEXT = {"zh": str, "en": str}
PICTURE = {"mime": str, "data": str, "width": (int, float), "height": (int, float)}
FORMS: dict[str, dict[str, Any]] = {
    "text": TEXT,
    "answer": {**TEXT, "questions": [str]},
    "figure": {"caption": TEXT, "alt": TEXT, "variants": dict.fromkeys(LANGUAGES, PICTURE)},
    "table": {"caption": TEXT, "columns": [TEXT], "rows": [[TEXT]], "align": [str]},
}  # fmt: skip


def checked(payload: object, where: str) -> dict[str, Any]:
    """The payload of an output; of a kind that is shown, with all that its kind has.

    Raises
    ------
    UserError
        naming the notebook and the cell.
    """
    kind = payload.get("kind") if isinstance(payload, dict) else None
    sound = isinstance(kind, str) and _fits(payload, FORMS.get(kind, {}))
    if sound and kind == "table":
        widths = {len(row) for row in (payload["columns"], payload["align"], *payload["rows"])}
        sound = len(widths) == 1 and set(payload["align"]) <= {"left", "right"}
    if not sound:
        raise UserError(f"{where}: an output hw3lib.report.show did not make; run the cell again")
    return payload


def _fits(value: object, form: Any) -> bool:
    if isinstance(form, dict):
        inside = isinstance(value, dict) and set(value) >= set(form)
        return inside and all(_fits(value[key], inner) for key, inner in form.items())
    if isinstance(form, list):
        return isinstance(value, list) and all(_fits(item, form[0]) for item in value)
    return isinstance(value, form)
