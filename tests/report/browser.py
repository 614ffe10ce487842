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
    address, found = file.resolve().as_uri(), []
    inside = ("file:", "data:", "blob:")
    with browser() as opened:
        page = opened.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda r: r.url.startswith(inside) or found.append(f"asks for {r.url}"))
        page.on("console", lambda m: m.type == "error" and found.append(f"console: {m.text}"))
        page.on("pageerror", lambda error: found.append(f"script: {error}"))
        page.goto(address)
        for look in (_links, _languages, _code, _enlarges, _widths, _accessible):
            found += look(page, address)
        without = opened.new_page(java_script_enabled=False)
        without.set_default_timeout(PATIENCE)
        return [*found, *_without_script(without, address)]


def _links(page, address: str) -> Iterator[str]:
    for name in page.evaluate(LOST):
        yield f"a link leads nowhere: #{name}"
    page.locator("nav.toc > details > ol > li > a").last.click()
    page.wait_for_timeout(300)  # until the contents have followed
    target = page.evaluate("() => location.hash.slice(1)")
    top = page.evaluate("(id) => document.getElementById(id).getBoundingClientRect().top", target)
    bottom = page.evaluate("() => scrollY + innerHeight >= document.body.scrollHeight - 2")
    if not (0 <= top < 300 or bottom):
        yield f"the link to #{target} ends {top:.0f} px from the top"
    if page.locator("nav.toc a[aria-current]").count() != 1:
        yield "the section being read is not marked in the contents"


def _languages(page, address: str) -> Iterator[str]:
    for code, lang in LANGUAGES.items():
        page.locator(f"label[for=lang-{code}]").click()
        page.reload()  # it is remembered
        if page.evaluate("() => document.documentElement.lang") != lang:
            yield f"language {code}: the page says otherwise after a reload"
        for said in ("zh", "en"):
            if bool(page.evaluate(SHOWN, said)) != (code in (said, "both")):
                yield f"language {code}: {said} is shown where it should not be, or is not"
    page.goto(f"{address}?lang=en")
    if not page.locator("#lang-en").is_checked():
        yield "?lang=en does not choose English"
    page.goto(f"{address}?lang=both")


def _code(page, address: str) -> Iterator[str]:
    code, states = page.locator("pre.code").first, []
    for _ in range(3 if code.count() else 0):
        states.append(code.is_visible())
        page.locator("#code").click()
    if states not in ([], [False, True, False]):
        yield f"the switch of code: {states}"


def _enlarges(page, address: str) -> Iterator[str]:
    image = page.locator("figure img:visible").first
    if image.count():
        image.focus()
        page.keyboard.press("Enter")
        opened = page.locator("#zoom img").last.is_visible()
        page.keyboard.press("Escape")
        if not opened or page.locator("#zoom").is_visible():
            yield "a figure does not open with Enter and close with Escape"


def _widths(page, address: str) -> Iterator[str]:
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for code in LANGUAGES:
            page.goto(f"{address}?lang={code}")
            wide = page.evaluate(WIDER)
            if wide or page.evaluate(SCROLLS):
                yield f"at {width} px, {code}: wider than the window: {', '.join(wide)}"


def _accessible(page, address: str) -> Iterator[str]:
    from axe_playwright_python.sync_playwright import Axe

    page.set_viewport_size({"width": 1440, "height": 900})
    for theme in ("light", "dark"):
        page.evaluate("(t) => document.getElementById('theme-' + t).click()", theme)
        for violation in Axe().run(page, context=LOOKED_AT).response["violations"]:
            if violation["impact"] in GRAVE:
                nodes = violation["nodes"]
                told = f"{violation['id']} ({len(nodes)} places, first {nodes[0]['html'][:160]})"
                yield f"axe, {theme}: {told}"


def _without_script(page, address: str) -> Iterator[str]:
    page.goto(address)
    if not page.locator("main h2, main h1").first.is_visible():
        yield "without JavaScript nothing is shown"
    page.locator("label[for=lang-en]").click()
    zh, en = (page.locator(f"main .{code}").first.is_visible() for code in ("zh", "en"))
    if zh or not en:
        yield "without JavaScript the language cannot be chosen"
