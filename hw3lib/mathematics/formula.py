"""LaTeX as derivations write it, parsed: what is displayed is what is checked.

Whatever a reader could take in two ways does not parse: a number after a factor (`2 3` prints as
23), `x^12` (prints as x to the 1, then 2), a brace that groups without being seen, `\\log a b`,
`a / b c`, an unbracketed minus inside a product or a sum.
"""

from __future__ import annotations

from functools import cache
from itertools import chain

from lark import Lark, Token, Transformer, Tree, UnexpectedInput, UnexpectedToken, v_args

from hw3lib import UserError

GRAMMAR = r"""
claims: claim ("," claim)*
claim: _side (RELATION _side)+
_side: expr | tuple
tuple: _OPEN expr ("," expr)+ _CLOSE

?expr: term | _MINUS term -> negative | expr _PLUS term -> add | expr _MINUS term -> subtract
?term: factors | factors "/" factor -> divide
     | tail | factors tail -> multiply | factors _TIMES tail -> multiply
?factors: factor | factors later -> multiply | factors _TIMES factor -> multiply
?factor: number | number "^" script -> power | later
?later: scripted | box | raised | raised "^" script -> power | FUNCTION paren -> call
?tail: BIG range term -> big | FUNCTION bare -> call
     | _LIM "_" "{" scripted _TO expr "}" term -> limit
?bare: scripted | box | closed | number | tail

number: NUMBER
?script: "{" expr "}" | DIGIT -> number | (LETTER | GREEK) -> symbol
scripted: name (sub sup? | sup sub?)?
sub: "_" script
sup: "^" script
name: LETTER | GREEK | TEXT | ACCENT "{" (LETTER | GREEK) "}" | ACCENT (LETTER | GREEK)
?paren: _OPEN expr _CLOSE
?raised: paren | closed
?closed: "\\lfloor" expr "\\rfloor" -> floor | "\\lceil" expr "\\rceil" -> ceil
       | "⟦" expr "⟧" -> absolute | _DELTA "_" "{" expr ("," expr)? "}" -> delta
?box: _FRAC "{" expr "}" "{" expr "}" -> divide
    | _FRAC "{" _PARTIAL scripted "}" "{" _PARTIAL scripted "}" -> derivative
    | _FRAC "{" _SECOND scripted "}" "{" _PARTIAL scripted _PARTIAL scripted "}" -> derivative
    | "\\sqrt" script -> root
range: "_" "{" LETTER "=" expr "}" "^" script | "_" "{" LETTER "}" | "_" LETTER
     | "_" "{" LETTER _NOT expr "}"

RELATION.2: /(\\\\\s*)?(&\s*)?(=|<|>|\\(ne|le|ge)q?(?![A-Za-z]))/
_NOT: /\\neq?(?![A-Za-z])/
_PLUS.2: /(\\\\\s*&?\s*(\\q?quad\s*)*)?\+/
_MINUS.2: /(\\\\\s*&?\s*(\\q?quad\s*)*)?-/
_TIMES: /\\(cdot|times)(?![A-Za-z])/
_OPEN: "(" | "[" | "\\{"
_CLOSE: ")" | "]" | "\\}"
_FRAC: /\\[dt]?frac(?![A-Za-z])/
_SECOND.2: /\\partial\s*\^(2|\{2\})/
_PARTIAL: /\\partial(?![A-Za-z])/
_DELTA: /\\delta(?![A-Za-z])/
_LIM: /\\lim(?![A-Za-z])/
_TO: /\\to(?![A-Za-z])/
BIG: /\\(sum|prod)(?![A-Za-z])/
FUNCTION: /\\(log|ln|exp)(?![A-Za-z])/
ACCENT: /\\(hat|bar|tilde)(?![A-Za-z])/
TEXT: /\\text\{[a-z]+\}/
GREEK: /\\(alpha|beta|gamma|epsilon|eta|theta|lambda|mu|sigma|ell)(?![A-Za-z])/
LETTER: /[A-Za-z]'*/
NUMBER: /\d+(\.\d+)?/
DIGIT: /\d(?![\d.])/
SKIPPED: /\\[,;:! ]|\\(left|right|limits|displaystyle|[bB]igg?[lr]?)(?![A-Za-z])/
%ignore SKIPPED
%ignore /\s+/
"""


class FormulaError(UserError):
    """LaTeX that cannot be read; the message names the place."""

    def __init__(self, latex: str, at: int):
        rest = (
            f"cannot read “{latex[at : at + 24]}”" if latex[at:].strip() else "something is missing"
        )
        super().__init__(f"character {at + 1}: {rest} after “{latex[max(0, at - 40) : at]}”")


def parse(latex: str, *, conditions: bool = False) -> Tree:
    """The tree of one claim `a = b \\le c …`; with `conditions`, of several, parted by commas.

    Nodes: claim(side, relation, side, …), its relations = ne le ge < >; number,
    symbol(name, subscript or None), derivative(of, by, …), big("sum" or "prod", index, low, high,
    body), big of three: the index runs over all (or all but the third child), log, root, power, …

    Raises
    ------
    FormulaError
        pointing at what is not understood.
    """
    try:
        return _Shape().transform(
            _parser().parse(_bars(latex), "claims" if conditions else "claim")
        )
    except UnexpectedInput as error:
        ended = isinstance(error, UnexpectedToken) and error.token.type == "$END"
        raise FormulaError(latex, len(latex) if ended else error.pos_in_stream) from None


def _bars(latex: str) -> str:
    """Bars by turns opening and closing; the grammar could not tell. Positions stay."""
    first, *rest = latex.split("|")
    return first + "".join("⟦⟧"[k % 2] + part for k, part in enumerate(rest))


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", start=["claim", "claims"], maybe_placeholders=False)


@v_args(inline=True)
class _Shape(Transformer):
    """The parser's trees with scripts, ranges and relations in one form each."""

    def claim(self, *parts: Tree | Token) -> Tree:
        relations = [p.lstrip("\\& \n").rstrip("q") for p in parts[1::2]]
        return Tree("claim", [*chain(*zip(parts[::2], relations, strict=False)), parts[-1]])

    def name(self, *parts: Token) -> str:
        return "".join(f"{{{p}}}" if k else str(p) for k, p in enumerate(parts))

    def number(self, digits: Token) -> Tree:
        return Tree("number", [str(digits)])

    def symbol(self, name: Token) -> Tree:
        return Tree("symbol", [str(name), None])

    def scripted(self, name: str, *scripts: Tree) -> Tree:
        found = {s.data: s.children[0] for s in scripts}
        symbol = Tree("symbol", [name, found.get("sub")])
        return Tree("power", [symbol, found["sup"]]) if "sup" in found else symbol

    def delta(self, *indices: Tree) -> Tree:
        whole = indices[0]
        pair = whole.children if len(indices) == 1 and whole.data == "multiply" else indices
        return Tree("delta", list(pair))

    def big(self, kind: Token, span: Tree, body: Tree) -> Tree:
        return Tree("big", [kind[1:], *span.children, body])

    def call(self, function: Token, argument: Tree) -> Tree:
        return Tree("exp" if function == r"\exp" else "log", [argument])

    def limit(self, variable: Tree, point: Tree, body: Tree) -> Tree:
        return Tree("limit", [key(variable), point, body])


def key(symbol: Tree) -> str:
    """A symbol as the settings name it, subscript or power and all: `\\beta_1`, `\\sigma_B^2`."""
    if symbol.data == "power":
        return f"{key(symbol.children[0])}^{key(symbol.children[1])}"
    if symbol.data == "number":
        return str(symbol.children[0])
    if symbol.data != "symbol":
        return "?"
    name, sub = symbol.children
    return name if sub is None else f"{name}_{key(sub)}"
