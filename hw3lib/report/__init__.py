"""Executes the notebooks, merges them, and renders the report (HTML and PDF).

How the pages look (fonts, captions, colours) is said in report/templates, not here.
"""
