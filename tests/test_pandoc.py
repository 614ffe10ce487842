"""Markdown to HTML and Typst: what comes out, what cannot come in, and faults by place."""

from html.parser import HTMLParser

import pytest

from hw3lib.report import pandoc
from hw3lib.report.pandoc import ConversionError, to_html, to_typst


def test_many_snippets_take_one_process_and_keep_their_order(monkeypatch):
    calls = []
    run = pandoc._run
    monkeypatch.setattr(pandoc, "_run", lambda *a: calls.append(a) or run(*a))
    texts = [f"第 {n} 段" for n in range(50)] + ["第 3 段"]
    assert to_html(texts) == [f"<p>{text}</p>" for text in texts]
    assert len(calls) == 1
    to_html(texts[:10])
    assert len(calls) == 1  # known already


def test_mathematics_becomes_mathml_and_keeps_its_tex():
    (html,) = to_html([r"$$\begin{aligned} a &= \frac{b}{c} \\ d &= e \end{aligned}$$"])
    assert "<mfrac>" in html and html.count("<mtr>") == 2
    assert 'application/x-tex">\\begin{aligned}' in html


def test_every_equation_gets_alternative_text_for_typst():
    inline, block = to_typst(
        [
            r'$\frac{a}{b}$, $\text{"中"}$',
            r"$$\begin{aligned} \left(x\right) &= y \\ z \end{aligned}$$",
        ]
    )
    assert r'#math.equation(alt: "\\frac{a}{b}", block: false, $a / b$)' in inline
    assert r'alt: "\\text{\"中\"}"' in inline
    assert "block: true" in block and 'alt: "(x) = y ; z"' in block


def test_tables_lists_and_code_are_understood():
    (html,) = to_html(["| a | b |\n|---|--:|\n| 1 | 2 |\n\n文字\n- 甲\n- 乙\n\n```\nx < 1\n```"])
    assert "<th>a</th>" in html and html.count("<li>") == 2 and "x &lt; 1" in html


def test_a_line_break_between_chinese_characters_leaves_no_blank():
    assert to_html(["第一行，\n第二行\nabc\ndef"]) == ["<p>第一行，第二行 abc def</p>"]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "`<b>`{=html}",
        "```{=typst}\n#panic()\n```",
        "::: {.a onclick=x}\nb\n:::",
        "[x]{onclick=alert(1)}",
        "---\ntitle: x\n---",
    ],
)
def test_markup_from_outside_is_text(text):
    tags = []
    reader = HTMLParser()
    reader.handle_starttag = lambda tag, attributes: tags.append((tag, *attributes))
    reader.feed(to_html([text])[0])
    assert {tag for tag, *_ in tags} <= {"p", "code", "pre", "hr", "h2"}
    assert not [attributes for _, *attributes in tags if attributes]


@pytest.mark.parametrize("convert", [to_html, to_typst])
@pytest.mark.parametrize(
    "text, reason",
    [
        (r"令 $\foo{x}$", r"\\foo"),
        (r"$\frac{a$", "frac"),
        ("![alt](face.png)", "hw3lib.report.show.figure"),
        ("[x](javascript:alert(1))", "http, https or mailto"),
        ("[x]: data:text/html,a\n\n[x]", "http, https or mailto"),
        ("<file:///etc/passwd>", "http, https or mailto"),
    ],
)
def test_a_fault_names_the_snippet_and_its_place(convert, text, reason):
    with pytest.raises(ConversionError, match=reason) as caught:
        convert(["good", text, "also good"])
    assert caught.value.index == 1 and text.split("\n")[0][:20] in str(caught.value)


def test_a_hyphen_before_a_number_is_a_minus_and_elsewhere_a_hyphen():
    text = "差-0.3、-0.1 [-2.1%, -1.5%]；2026-11-25 `-1` ResNet-18 1e-05"
    (shown,) = to_html([text])
    assert "差−0.3、−0.1 [−2.1%, −1.5%]；2026-11-25 <code>-1</code> ResNet-18 1e-05" in shown
