"""The web page in a real browser: `faults` opens it in Chromium and says what is wrong with it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 300_000  # milliseconds: a busy machine is slow, not wrong
WIDTHS = (360, 768, 1440)
LANGUAGES = {"zh": "zh-Hant-TW", "en": "en", "both": "zh-Hant-TW"}
LOOKED_AT = {"exclude": [["math"]]}  # thousands of elements, of which axe knows nothing
GRAVE = ("serious", "critical")
WIDER = """() => [...document.querySelectorAll('body *')].filter((e) => {
  const box = e.getBoundingClientRect();
  if (!box.width || box.right <= document.documentElement.clientWidth + 1) return false;
  for (let p = e; p; p = p.parentElement) {
    const style = getComputedStyle(p);
    if (style.overflowX !== 'visible' || style.position === 'absolute') return false;
  }
  return true;
}).slice(0, 3).map((e) => `<${e.tagName.toLowerCase()} class="${e.className}">`)"""
SCROLLS = "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"
LOST = """() => [...document.querySelectorAll('a[href^="#"]')].map((a) => a.hash.slice(1))
  .filter((id) => !document.getElementById(id))"""
SHOWN = """(code) => [...document.querySelectorAll('main .' + code)].filter((e) =>
  e.checkVisibility()).length"""


def chromium() -> str:
    """Where Debian's Chromium lies, "" where it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or ""


@contextmanager
def browser() -> Iterator:
    """A browser of playwright's, headless."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield opened
        finally:
            opened.close()


def faults(file: Path) -> list[str]:
    """A line for each fault of the page; none where all is well."""
    with browser() as opened:
        context = opened.new_context(
            viewport={"width": 1440, "height": 900}, reduced_motion="reduce"
        )
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        found: list[str] = []
        page.on("request", lambda r: _outside(r.url) and found.append(f"asks for {r.url}"))
        page.on("console", lambda m: m.type == "error" and found.append(f"console: {m.text}"))
        page.on("pageerror", lambda error: found.append(f"script: {error}"))
        address = file.resolve().as_uri()
        page.goto(address)
        found += _links(page) + _languages(page, address) + _folds(page) + _enlarges(page)
        found += _widths(page, address) + _accessible(page)
        context.close()
        return found + _without_script(opened, address)


def _outside(url: str) -> bool:
    return not url.startswith(("file:", "data:", "blob:"))


def _links(page) -> list[str]:
    lost = page.evaluate(LOST)
    found = [f"a link leads nowhere: #{name}" for name in lost]
    link = page.locator("nav.toc > details > ol > li > a").last
    link.click()
    page.wait_for_timeout(300)  # until the contents have followed
    target = page.evaluate("() => location.hash.slice(1)")
    top = page.evaluate("(id) => document.getElementById(id).getBoundingClientRect().top", target)
    bottom = page.evaluate("() => scrollY + innerHeight >= document.body.scrollHeight - 2")
    if not (0 <= top < 300 or bottom):
        found.append(f"the link to #{target} ends {top:.0f} px from the top")
    if page.locator("nav.toc a[aria-current]").count() != 1:
        found.append("the section being read is not marked in the contents")
    return found


def _languages(page, address: str) -> list[str]:
    found = []
    for code, lang in LANGUAGES.items():
        page.locator(f"label[for=lang-{code}]").click()
        page.reload()  # it is remembered
        hidden = {"zh": "en", "en": "zh"}.get(code)
        if page.evaluate("() => document.documentElement.lang") != lang:
            found.append(f"language {code}: the page says otherwise after a reload")
        if hidden and page.evaluate(SHOWN, hidden):
            found.append(f"language {code}: some {hidden} is still shown")
        if not all(page.evaluate(SHOWN, c) for c in ("zh", "en") if c != hidden):
            found.append(f"language {code}: it is not shown")
    page.goto(f"{address}?lang=en")
    if not page.locator("#lang-en").is_checked():
        found.append("?lang=en does not choose English")
    page.goto(f"{address}?lang=both")
    return found


def _folds(page) -> list[str]:
    code = page.locator("pre.code").first
    if not code.count():
        return []
    states = [code.is_visible()]
    for _ in range(2):
        page.locator("#code").click()
        states.append(code.is_visible())
    return [] if states == [False, True, False] else [f"the switch of code: {states}"]


def _enlarges(page) -> list[str]:
    image = page.locator("figure img:visible").first
    if not image.count():
        return []
    image.focus()
    page.keyboard.press("Enter")
    opened = page.locator("#zoom img").last.is_visible()
    page.keyboard.press("Escape")
    closed = not page.locator("#zoom").is_visible()
    return [] if opened and closed else ["a figure does not open with Enter and close with Escape"]


def _widths(page, address: str) -> list[str]:
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for code in LANGUAGES:
            page.goto(f"{address}?lang={code}")
            wide = page.evaluate(WIDER)
            if wide or page.evaluate(SCROLLS):
                found.append(f"at {width} px, {code}: wider than the window: {', '.join(wide)}")
    return found


def _accessible(page) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    found = []
    for theme in ("light", "dark"):
        page.set_viewport_size({"width": 1440, "height": 900})
        page.evaluate("(t) => document.getElementById('theme-' + t).click()", theme)
        for violation in Axe().run(page, context=LOOKED_AT).response["violations"]:
            if violation["impact"] in GRAVE:
                where = violation["nodes"][0]["html"][:160]
                found.append(
                    f"axe, {theme}: {violation['id']} ({violation['impact']}, "
                    f"{len(violation['nodes'])} places, first {where})"
                )
    return found


def _without_script(opened, address: str) -> list[str]:
    context = opened.new_context(java_script_enabled=False)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(address)
    found = []
    if not page.locator("main h2, main h1").first.is_visible():
        found.append("without JavaScript nothing is shown")
    page.locator("label[for=lang-en]").click()
    if (
        page.locator("main .zh").first.is_visible()
        or not page.locator("main .en").first.is_visible()
    ):
        found.append("without JavaScript the language cannot be chosen")
    context.close()
    return found
