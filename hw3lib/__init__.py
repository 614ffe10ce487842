"""hw3lib: image sentiment classification as a reproducible, bilingual homework report.

Start with `hw3lib.data.load` (images in any layout), `hw3lib.data.split.split_faces`, a
`hw3lib.training.recipe.Recipe` and `hw3lib.training.runs.get_run`, which trains it or finds what
it left; `hw3lib.training.study.open_study` opens a profile with all its recipes. README.md, "Use
the library in your own notebook", goes from images to saliency maps in 25 lines.
"""

import unicodedata

__version__ = "0.1.0"

LINE = 1000  # characters of a message; a longer one, of a name without end, is cut in the middle
PUBLISH = "HW3_PUBLISH"  # "1" in the environment of a notebook that is executed to be published
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, format, surrogate, line, paragraph


class UserError(Exception):
    """Something the user can fix: one line that says what, where and how.

    The command line prints the message alone and exits with status 2. Names in it may come from
    anyone's files, so what would break the line or steer a terminal is shown as an escape.
    """

    def __str__(self) -> str:
        text = printable(super().__str__())
        return text if len(text) <= LINE else f"{text[: LINE // 2]} … {text[-LINE // 2 + 3 :]}"


def printable(text: str) -> str:
    """The text with control and format characters, line ends too, as escapes ("\\n")."""
    if text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in _UNSEEN else c
        for c in text
    )
