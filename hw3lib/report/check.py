"""What keeps a notebook from becoming a chapter, or from being committed (`hw3 check`)."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat

from hw3lib import UserError
from hw3lib.files import write_atomic
from hw3lib.report.document import Document
from hw3lib.report.execute import read_notebook
from hw3lib.report.notebook import chapter_of
from hw3lib.report.pandoc import Markup, pieces

METADATA = {  # of a notebook that is committed, as JupyterLab writes it
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3}, "file_extension": ".py",
        "mimetype": "text/x-python", "name": "python", "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}  # fmt: skip
MAGIC = re.compile(r"^\s*[%!?]|\?$", re.MULTILINE)  # IPython's, in a cell that is no Python then


def faults_of(path: Path, parameters: dict[str, str], *, stored: bool = False) -> list[str]:
    """A line for each fault that would stop the report at this notebook, read from its source.

    parameters : what the report gives to the notebook
    stored : whether an output that is stored in it is a fault, too
    """
    try:
        nb = read_notebook(path, parameters)
        chapter = chapter_of(nb, path.stem, path.parent)
        document = Document(chapter.title, {}, [chapter])
        markup = Markup(document, "html", ("zh", "en"), place=lambda *_: "", missing=str)
        for block in chapter.blocks:
            form, parts = pieces(block)
            for said in {text for part in parts for text in (part.zh, part.en)}:
                markup(form, said, block)  # looks for its images
        faults = [*markup.problems]
    except UserError as error:
        return [str(error)]
    for number, cell in enumerate(nb.cells, 1):
        where = f"{path.stem}, cell {number}"
        if cell.cell_type != "code":
            continue
        if stored and (cell.outputs or cell.execution_count is not None):
            faults.append(f"{where}: a stored output; hw3 check --clear removes it")
        if not MAGIC.search(cell.source):
            try:
                ast.parse(cell.source)
            except SyntaxError as error:
                faults.append(f"{where}: line {error.lineno}: {error.msg}")
    return faults


def clear(path: Path) -> None:
    """Take out of a notebook what running it left: outputs, execution counts, metadata.

    Raises
    ------
    UserError
        if the file is no notebook; it stays as it is.
    """
    nb = read_notebook(path, {})
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in ("tags", "jupyter")}
    nb.metadata = METADATA
    write_atomic(path, (nbformat.writes(nb) + "\n").encode())
