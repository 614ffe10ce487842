"""What a picture alone shows: where its edges and its contrasts are."""

from __future__ import annotations

import numpy as np


def edge_strength(images: np.ndarray) -> np.ndarray:
    """(N, H, W) grey values -> (N, H, W) float32 size of Sobel's gradient, slightly blurred."""
    from scipy.ndimage import gaussian_filter, sobel

    smooth = gaussian_filter(np.asarray(images, np.float32), sigma=(0, 1, 1))
    return np.hypot(sobel(smooth, axis=1), sobel(smooth, axis=2))


def local_contrast(images: np.ndarray, size: int = 7) -> np.ndarray:
    """(N, H, W) grey values -> (N, H, W) standard deviation in a window of size x size pixels."""
    from scipy.ndimage import uniform_filter

    images = np.asarray(images, np.float64)
    window = (0, size, size)
    mean, square = uniform_filter(images, window), uniform_filter(images**2, window)
    return np.sqrt((square - mean**2).clip(min=0))
