"""nbconvert's exporters of one notebook: `jupyter nbconvert --to hw3_pdf X.ipynb`.

They are entry points (pyproject.toml), so JupyterLab's export menu shows them too. As nbconvert's
own, they export what is stored and execute nothing: a clean notebook needs `--execute`, and its
page says so. What is heavy is imported when a notebook is exported.
"""

from __future__ import annotations

from nbconvert.exporters import Exporter
from traitlets import Enum

from hw3lib.text import LANGUAGES


class _Hw3Exporter(Exporter):
    """One notebook as a report of one chapter, without a cover."""

    language = Enum(LANGUAGES, default_value="both", help="zh, en or both").tag(config=True)

    def from_notebook_node(self, nb, resources=None, **kw):
        from hw3lib.report.document import has_results, one_notebook

        nb, resources = super().from_notebook_node(nb, resources, **kw)
        name = resources.get("metadata", {}).get("name") or "notebook"
        if not has_results(nb):
            self.log.warning("%s has not been run: no results; add --execute", name)
        return self.render(one_notebook(nb, name)), resources


class Hw3PDFExporter(_Hw3Exporter):
    """The notebook as PDF."""

    export_from_notebook = "hw3 report (PDF)"
    output_mimetype = "application/pdf"

    def _file_extension_default(self) -> str:
        return ".pdf"

    def render(self, document) -> bytes:
        from hw3lib.report.pdf import render

        return render(document, self.language)


class Hw3HTMLExporter(_Hw3Exporter):
    """The notebook as a web page in one file, which works offline."""

    export_from_notebook = "hw3 report (HTML)"
    output_mimetype = "text/html"

    def _file_extension_default(self) -> str:
        return ".html"

    def render(self, document) -> str:
        from hw3lib.report.html import render

        return render(document, self.language)
