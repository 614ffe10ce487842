"""What a notebook shows, as data for the exporters."""

from __future__ import annotations

import pandas as pd
import pytest

from hw3lib.report import show as display


@pytest.fixture
def shown(monkeypatch):
    payloads: list[dict] = []
    monkeypatch.setattr(display, "_show", lambda payload, plain, **_: payloads.append(payload))
    return payloads


@pytest.mark.parametrize(
    ("value", "spec", "wanted"),
    [
        (-0.0004, ".2f", "0.00"),
        (-0.0004, "+.1%", "0.0%"),
        (-0.4, ".0f", "0"),
        (-0.006, ".2f", "-0.01"),
        (0.0004, "+.2f", "+0.00"),
        (float("nan"), ".2f", "–"),
        (-1e-9, "", "-1e-09"),
    ],
)
def test_a_cell_shows_no_negative_zero(shown, value, spec, wanted):
    frame = pd.DataFrame({"a": [value]})
    display.table(frame, zh="表", en="table", formats={"a": spec})
    assert shown[0]["rows"] == [[{"zh": wanted, "en": wanted}]]
