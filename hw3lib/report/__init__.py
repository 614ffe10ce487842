"""Executes the notebooks, merges them, and renders the report (HTML and PDF).

How the pages look (fonts, captions, colours) is said in report/templates (hw3_pdf/report.typ,
hw3_html/book.css), not here.
"""
