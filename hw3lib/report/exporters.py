"""nbconvert's exporters of one notebook: `jupyter nbconvert --to hw3_pdf X.ipynb --language en`.

They are entry points (pyproject.toml), so JupyterLab's export menu shows them too. As nbconvert's
own, they export what is stored and execute nothing: a clean notebook needs `--execute`, and its
page says so. What is heavy is imported when a notebook is exported.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from nbconvert.exporters import Exporter
from traitlets import Enum

from hw3lib.text import LANGUAGES


class Hw3Exporter(Exporter):
    """One notebook as a report of one chapter, without a first page: X.report.html."""

    form = "html"  # or "pdf": the module of hw3lib.report that renders it
    language = Enum(
        ("", *LANGUAGES), default_value="", help="zh, en or both; the notebook's LANG if empty"
    ).tag(config=True)

    def _file_extension_default(self) -> str:
        return f".report.{self.form}"

    def from_notebook_node(self, nb, resources=None, **kw):
        # nbconvert imports every exporter that is installed, whichever it was asked for
        from hw3lib.report.notebook import has_results, language_of, one_notebook

        nb, resources = super().from_notebook_node(nb, resources, **kw)
        found = resources.get("metadata", {})
        name, folder = found.get("name") or "notebook", found.get("path")
        if not has_results(nb):
            self.log.warning("%s has not been run: no results; add --execute", name)
        document = one_notebook(nb, name, None if folder is None else Path(folder))
        problems = dict.fromkeys(document.gaps)
        render = import_module(f"hw3lib.report.{self.form}").render
        rendered = render(document, self.language or language_of(nb), problems)
        for line in problems:
            self.log.warning("%s", line)
        return rendered, resources


class Hw3HTMLExporter(Hw3Exporter):
    """The notebook as a web page in one file, which works offline."""

    export_from_notebook = "hw3 report (HTML)"
    output_mimetype = "text/html"


class Hw3PDFExporter(Hw3Exporter):
    """The notebook as PDF."""

    form = "pdf"
    export_from_notebook = "hw3 report (PDF)"
    output_mimetype = "application/pdf"


# Only here, for this module loads all exporters, and does so before it reads its command line.
from nbconvert import nbconvertapp  # noqa: E402

nbconvertapp.nbconvert_aliases["language"] = (
    "Hw3Exporter.language",
    "zh, en or both, for hw3_html and hw3_pdf; where it is not given, the notebook's LANG",
)
