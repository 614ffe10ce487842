"""nbconvert's exporters of one notebook: `jupyter nbconvert --to hw3_pdf X.ipynb`.

They are entry points (pyproject.toml), so JupyterLab's export menu shows them too. What is heavy
is imported when a notebook is exported.
"""

from __future__ import annotations

from nbconvert.exporters import Exporter
from traitlets import Enum

from hw3lib.bilingual import LANGUAGES


class Hw3PDFExporter(Exporter):
    """One executed notebook as PDF: a report of one chapter, without a cover."""

    export_from_notebook = "hw3 report (PDF)"
    output_mimetype = "application/pdf"
    language = Enum(LANGUAGES, default_value="both", help="zh, en or both").tag(config=True)

    def _file_extension_default(self) -> str:
        return ".pdf"

    def from_notebook_node(self, nb, resources=None, **kw):
        from hw3lib.report.document import one_notebook
        from hw3lib.report.pdf import render

        nb, resources = super().from_notebook_node(nb, resources, **kw)
        name = resources.get("metadata", {}).get("name") or "notebook"
        return render(one_notebook(nb, name), self.language), resources


class Hw3HTMLExporter(Exporter):
    """One executed notebook as a web page in one file, which works offline."""

    export_from_notebook = "hw3 report (HTML)"
    output_mimetype = "text/html"
    language = Enum(LANGUAGES, default_value="both", help="zh, en or both").tag(config=True)

    def _file_extension_default(self) -> str:
        return ".html"

    def from_notebook_node(self, nb, resources=None, **kw):
        from hw3lib.report.document import one_notebook
        from hw3lib.report.html import render

        nb, resources = super().from_notebook_node(nb, resources, **kw)
        name = resources.get("metadata", {}).get("name") or "notebook"
        return render(one_notebook(nb, name), self.language), resources
