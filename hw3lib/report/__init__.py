"""Executes the notebooks, merges them, and renders the report (HTML and PDF)."""
