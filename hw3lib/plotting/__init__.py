"""Figures: data first, options by keyword, `ax=None` in and `ax` out; nothing is shown or saved.

What has several panels returns its Figure. All speak the notebook's language. The figures of
attributions (`saliency`), filters and block diagrams are imported from their own files, as they
need torch.
"""

from hw3lib.plotting.images import image_grid, mean_faces, rows_of, signed
from hw3lib.plotting.intervals import interval_rows, spread
from hw3lib.plotting.lines import curves, history, reliability, trade_off
from hw3lib.plotting.matrices import by_class, confusion, confusion_order, matrix, pair_name
from hw3lib.plotting.style import side_by_side, subplots

__all__ = [
    "by_class", "confusion", "confusion_order", "curves", "history", "image_grid",
    "interval_rows", "matrix", "mean_faces", "pair_name", "reliability", "rows_of",
    "side_by_side", "signed", "spread", "subplots", "trade_off",
]  # fmt: skip
