"""What the suite of faults promises and what it saw, listed at the end of `make faults`."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest


@dataclass
class Promise:
    """What a test holds hw3 to, and how often it did."""

    properties: list
    index: int = field(init=False)

    def __call__(self, fault: str, promised: str) -> None:
        self.index = len(self.properties)
        self.properties.append(("fault", [fault, promised, "", 0]))

    def seen(self, text: str, count: int) -> None:
        """count : times the fault was made"""
        _, (fault, promised, _, _) = self.properties[self.index]
        self.properties[self.index] = ("fault", [fault, promised, text, count])


@pytest.fixture
def promise(request) -> Promise:
    """Call it with the fault and the promise first, then `seen` at the end."""
    return Promise(request.node.user_properties)


def pytest_addoption(parser) -> None:
    parser.addoption("--fault-table", action="store_true", help="print what was promised and seen")


def pytest_terminal_summary(terminalreporter, config) -> None:
    if not config.getoption("--fault-table"):
        return
    reports = [r for kind in terminalreporter.stats.values() for r in kind if _ended(r)]
    write = terminalreporter.write_line
    terminalreporter.section("faults")
    rows = [_row(value, r) for r in reports for name, value in r.user_properties if name == "fault"]
    for fault, promised, seen, count in sorted(rows):
        write(f"{fault}, {count} times")
        write(f"    promised: {promised}")
        write(f"    seen:     {seen}")
    write("")
    made = sum(row[3] for row in rows)
    write(f"{len(rows)} promises, {made} faults made, {len(reports)} tests")


def _ended(report) -> bool:
    """Whether a report is a test's last word: its call, or the set-up that skipped or failed it."""
    when = getattr(report, "when", None)
    return when == "call" or (when == "setup" and report.outcome != "passed")


def _row(value: list, report) -> tuple[str, str, str, int]:
    fault, promised, seen, count = value
    if report.outcome == "failed":
        seen = "BROKEN: see above"
    elif report.outcome == "skipped":
        seen = f"not tried: {str(report.longrepr[2]).removeprefix('Skipped: ')}"
    return fault, promised, seen, count
