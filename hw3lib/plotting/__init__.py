"""Figures. Every function takes data first and options by keyword, draws and returns.

Nothing here shows or saves; texts come from `bilingual.tr`, so that `display.figure` can draw
the same figure once for each language.
"""
