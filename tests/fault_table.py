"""What the suite of faults promises and what it saw, listed at the end of `make faults`."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def observed(request) -> Callable[[str, int], None]:
    """Call it at the end with what was seen, and how often the fault was made.

    The fault and the promise are the test's docstring.
    """
    seen = [" ".join(request.function.__doc__.split()), "", 0]
    request.node.user_properties.append(("fault", seen))

    def tell(text: str, count: int) -> None:
        seen[1:] = text, count

    return tell


def pytest_addoption(parser) -> None:
    parser.addoption("--fault-table", action="store_true", help="print what was promised and seen")


def pytest_terminal_summary(terminalreporter, config) -> None:
    if not config.getoption("--fault-table"):
        return
    every = [r for kind in terminalreporter.stats.values() for r in kind]
    reports = [r for r in every if getattr(r, "when", "") == "call"]
    rows = [
        (*seen, report.outcome)
        for report in reports
        for name, seen in report.user_properties
        if name == "fault"
    ]
    terminalreporter.section("faults")
    for promise, seen, count, outcome in sorted(rows):
        told = seen if outcome == "passed" else f"{outcome.upper()}: see above"
        terminalreporter.write_line(f"{promise}\n    {told} ({count} times)")
    made = sum(count for _, _, count, _ in rows)
    terminalreporter.write_line(f"{len(rows)} promises, {made} faults, {len(reports)} tests")
