"""Pages without the seconds that cutting fonts takes; the fixture `cut` cuts one."""

import pytest

from hw3lib.report import html

_cut = html._subset


@pytest.fixture(autouse=True, scope="package")
def _whole_fonts():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html, "_subset", lambda name, characters: b"a font")
        yield


@pytest.fixture
def cut():
    return _cut
