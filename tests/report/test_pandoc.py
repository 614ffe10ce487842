"""Markdown and HTML to HTML and Typst: what comes out, what cannot come in, faults by place."""

import re
from html.parser import HTMLParser

import pytest

from hw3lib import UserError
from hw3lib.report import pandoc
from hw3lib.report.pandoc import convert

from .fakes import HTML


def to(target: str, text: str, form: str = "markdown") -> str:
    return convert([(form, text)], target)[0]


def test_many_snippets_take_one_process_and_keep_their_order(monkeypatch):
    calls, run = [], pandoc._run
    monkeypatch.setattr(pandoc, "_run", lambda *a: calls.append(a) or run(*a))
    texts = [f"第 {n} 段" for n in (*range(50), 3)]
    snippets = [("markdown", text) for text in texts]
    assert convert(snippets, "html") == [f"<p>{text}</p>" for text in texts]
    convert(snippets[:10], "html")
    assert len(calls) == 1  # known already


def test_mathematics_keeps_its_tex_and_gets_alternative_text():
    tex = r"$$\begin{aligned} \left(a\right) &= \frac{b}{c} \\ d &= e \end{aligned}$$"
    assert "<mfrac>" in to("html", tex) and 'x-tex">\\begin{aligned}' in to("html", tex)
    assert r'alt: "(a) = \\frac{b}{c} ; d = e", block: true' in to("typst", tex)
    assert r'alt: "\\text{\"中\"}"' in to("typst", r'$\text{"中"}$')


@pytest.mark.parametrize(
    ("form", "text", "wanted"),
    [
        ("inline", "1. 資料 *a*", "1. 資料 <em>a</em>"),
        ("markdown", "第一行，\n第二行\nabc\ndef", "<p>第一行，第二行 abc def</p>"),
        ("inline", "差-0.3 [-2.1%, -1.5%] pp；2026-11-25 `-1` ResNet-18 1e-05",
         "差−0.3 [−2.1%,\u00a0−1.5%]\u00a0pp；2026-11-25 <code>-1</code> ResNet-18 1e-05"),
    ],
)  # fmt: skip
def test_lines_and_minus_signs(form, text, wanted):
    assert to("html", text, form) == wanted


def test_a_dataframe_is_a_table_in_both():
    html, typst = (to(target, HTML, "html") for target in ("html", "typst"))
    assert "<td>sadness</td>" in html and "style" not in html
    assert "#table(" in typst and "[sadness]" in typst and "[−7]" in typst


IMAGE = "<img src='a b.png' alt=圖 onerror=alert(1)>"


@pytest.mark.parametrize(
    ("form", "text"),
    [("markdown", "![圖](a%20b.png)"), ("markdown", IMAGE), ("html", IMAGE),
     ("html", f"<p>{IMAGE}</p>")],
)  # fmt: skip
def test_images_leave_a_place(form, text):
    assert '<img src="hw3-image:a%20b.png" alt="圖" />' in to("html", text, form)
    assert '#inline-image("hw3-image:a%20b.png", "圖");' in to("typst", text, form)


@pytest.mark.parametrize("form", ["markdown", "html"])
@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>", "<svg/onload=alert(1)>", "<b onclick=alert(1)>x</b>",
        "<a href='javascript:alert(1)'>x</a>", "[x](javascript:alert(1))", "<javascript:alert(1)>",
        "[x](data:text/html,a)", "<iframe src=//evil.example></iframe>", "[x](//evil.example/)",
        "`<b>`{=html}", "```{=typst}\n#panic()\n```", "::: {.a onclick=x}\nb\n:::",
        "[x]{onclick=alert(1)}", "<style>*{}</style>", "<form action=x><input></form>",
    ],
)  # fmt: skip
def test_markup_from_outside_is_text(form, text):
    tags = []
    reader = HTMLParser()
    reader.handle_starttag = lambda tag, attributes: tags.append((tag, *attributes))
    reader.feed(to("html", text, form))
    assert {tag for tag, *_ in tags} <= {"p", "code", "pre", "strong", "div", "br", "img"}
    assert {name for _, *attributes in tags for name, _ in attributes} <= {"src", "alt"}
    typst = to("typst", text, form)
    assert "#panic" not in typst or "`" in typst  # raw text


@pytest.mark.parametrize("target", ["html", "typst"])
@pytest.mark.parametrize(("text", "reason"), [(r"令 $\foo{x}$", r"\\foo"), (r"$\frac{a$", "frac")])
def test_a_fault_names_the_snippet_and_its_place(target, text, reason):
    good, bad, also = convert([("markdown", t) for t in ("good", text, "also good")], target)
    assert isinstance(bad, UserError) and text[:10] in str(bad)
    assert re.search(reason, str(bad)) and "good" in good and "also good" in also
