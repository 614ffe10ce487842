"""The lock against the known vulnerabilities of its packages, without a network."""

from __future__ import annotations

import re
import tomllib

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from hw3lib.files import ROOT

ADVISORIES = tomllib.loads((ROOT / "report" / "advisories.toml").read_text("utf-8"))["advisory"]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")


def pinned(lock: str) -> dict[str, list[str]]:
    """Package -> its versions; more than one where they differ by the version of Python."""
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", lock, re.M):
        found.setdefault(name, []).append(version)
    return found


def affected(lock: str) -> list[tuple[str, str, str]]:
    """(package, version, first id) of every pin that an advisory names and nobody accepted."""
    pins = pinned(lock)
    return [
        (advisory["package"], version, advisory["ids"][0])
        for advisory in ADVISORIES
        for version in pins.get(advisory["package"], [])
        if "accepted" not in advisory and _within(version, advisory["affected"])
    ]


def _within(version: str, specifiers: list[str]) -> bool:
    return any(SpecifierSet(s).contains(Version(version), prereleases=True) for s in specifiers)


def test_no_pinned_package_is_known_to_be_vulnerable():
    assert affected(LOCK) == []


def test_the_audit_finds_what_it_should():
    old = "nbconvert==7.17.0 \\\npillow==12.3.0 \\\njupyterlab==4.0.3 \\\ntorch==2.15.0 \\\n"
    assert {(name, id_) for name, _, id_ in affected(old)} >= {
        ("nbconvert", "CVE-2026-39378"),
        ("pillow", "GHSA-8g5g-8vmr-9782"),
        ("jupyterlab", "CVE-2024-22420"),
    }
    assert not [name for name, *_ in affected(old) if name == "torch"]


def test_every_advisory_is_needed_and_has_a_way_out():
    """Its package is in the lock; a fixed version exists, or the lock needs the exception."""
    pins, names = pinned(LOCK), [name for advisory in ADVISORIES for name in advisory["ids"]]
    assert len(names) == len(set(names))
    for advisory in ADVISORIES:
        assert set(advisory) <= {"package", "ids", "affected", "what", "accepted"}
        assert not _within("9999", advisory["affected"]), "the fixed version is missing"
        versions = pins[advisory["package"]]
        if "accepted" in advisory:
            assert any(_within(v, advisory["affected"]) for v in versions)
