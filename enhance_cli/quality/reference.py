"""Quality measures of an output against a reference: PSNR, SSIM, the mean-matched output, delta E 2000.

The conventions are those of the published low-light tables, so that figures can be compared: 8-bit
levels, RGB, all channels alike. Images are H×W×3 RGB or H×W grey of one size, uint8, uint16 or floating
point in 0..1 (`pictures.levels`); a grey image compared with an RGB one is repeated over the channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from enhance_cli.quality.lab import ciede2000, lab
from enhance_cli.quality.pictures import Levels, Picture, level_pair, levels, luma

_RADIUS = 5
_WINDOW = cv2.getGaussianKernel(2 * _RADIUS + 1, 1.5)
_C1 = (0.01 * 255.0) ** 2
_C2 = (0.03 * 255.0) ** 2
_STRIP = 64
"""Rows filtered at once: small enough for the caches, and memory stays bounded at any size."""

_BLOCK = 8192
"""Pixels whose colour difference is taken at once: the formula's many arrays then stay in the caches."""


def psnr(output: Picture, reference: Picture) -> float:
    """Peak signal-to-noise ratio in dB: 10 log10(255² / mean squared error over all samples).

    Returns:
        The ratio; `math.inf` for identical images.

    Raises:
        ValueError: the sizes differ, or an array is not an image.
    """
    a, b = level_pair(output, reference)
    error = float(np.mean((a - b) ** 2))
    return math.inf if error == 0.0 else 10.0 * math.log10(255.0**2 / error)


def ssim(output: Picture, reference: Picture) -> float:
    """Structural similarity, -1..1: Gaussian 11x11 windows of sigma 1.5, mean over valid area and channels.

    Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004, eq. 13,
    with K1 = 0.01, K2 = 0.03, a range of 255 and population (not sample) covariances. It equals scikit-image's
    `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, channel_axis=-1,
    data_range=255)`: that function filters a padded image, but then averages its map without the 5 pixels
    at every border, so both use only windows that lie inside the image.

    Raises:
        ValueError: a side is shorter than 11 pixels, the sizes differ, or an array is not an image.
    """
    strips = list(_similarities(output, reference))
    return float(sum(strip.sum() for strip in strips) / sum(strip.size for strip in strips))


def ssim_map(output: Picture, reference: Picture) -> NDArray[np.float64]:
    """The similarity of every window, whose mean is `ssim`: (H-10)×(W-10), means over the channels.

    Raises:
        ValueError: as `ssim`.
    """
    return np.concatenate([strip.mean(axis=2) for strip in _similarities(output, reference)])


def mean_matched(output: Picture, reference: Picture) -> NDArray[np.uint8]:
    """The output scaled to the reference's mean grey ("GT-mean"), clipped and rounded to 8 bits.

    The factor is mean(luma(reference)) / mean(luma(output)), luma being BT.601 rounded to 8 bits a pixel, as
    the published harnesses read it from an 8-bit grey conversion; one factor for all channels, applied to
    the encoded samples. An output whose luma is black throughout has no factor and stays as it is.

    Returns:
        An image of the output's shape, uint8.

    Raises:
        ValueError: the sizes differ, or an array is not an image.
    """
    samples, grey, wanted = levels(output), np.rint(luma(output)), np.rint(luma(reference))
    if grey.shape != wanted.shape:
        raise ValueError(f"the images differ in size: {grey.shape} and {wanted.shape} (height, width)")
    mean = float(grey.mean())
    if mean > 0.0:
        samples = samples * (float(wanted.mean()) / mean)
    return np.clip(np.rint(samples), 0, 255).astype(np.uint8)


def delta_e_2000(output: Picture, reference: Picture) -> float:
    """Mean CIEDE2000 colour difference of the pixels, 0 for equal images; about 1 is just noticeable.

    Equal to the mean of scikit-image's `deltaE_ciede2000(rgb2lab(reference), rgb2lab(output))`.

    Raises:
        ValueError: the sizes differ, or an array is not an image.
    """
    a, b = level_pair(output, reference)
    height, width = a.shape[:2]
    rows = max(1, _BLOCK // width)
    total = 0.0
    for top in range(0, height, rows):
        strips = (_three(x[top : top + rows]) for x in (b, a))
        total += float(ciede2000(*(lab(strip) for strip in strips)).sum())
    return float(total / (height * width))


def _similarities(output: Picture, reference: Picture) -> Iterator[Levels]:
    """The SSIM map in strips of rows."""
    a, b = level_pair(output, reference)
    height, width = a.shape[:2]
    if min(height, width) < 2 * _RADIUS + 1:
        raise ValueError(f"SSIM needs at least 11x11 pixels, not {width}x{height}")
    # Variances do not change when both images are shifted, but fewer digits cancel.
    a, b = a - 128.0, b - 128.0
    for top in range(0, height - 2 * _RADIUS, _STRIP):
        bottom = top + _STRIP + 2 * _RADIUS
        yield _similarity(a[top:bottom], b[top:bottom])


def _similarity(a: Levels, b: Levels) -> Levels:
    """The SSIM map of one strip; `a` and `b` are centred on level 128."""
    mean_a, mean_b = _window_mean(a), _window_mean(b)
    variances = _window_mean(a * a + b * b) - mean_a * mean_a - mean_b * mean_b
    covariance = _window_mean(a * b) - mean_a * mean_b
    mean_a += 128.0
    mean_b += 128.0
    numerator = (2.0 * mean_a * mean_b + _C1) * (2.0 * covariance + _C2)
    denominator = (mean_a * mean_a + mean_b * mean_b + _C1) * (variances + _C2)
    similarity: Levels = numerator / denominator
    return similarity


def _window_mean(samples: Levels) -> Levels:
    """Gaussian means of the windows that fit, (h-10)×(w-10)×C."""
    mean = cv2.sepFilter2D(samples, cv2.CV_64F, _WINDOW, _WINDOW)
    if mean.ndim == 2:  # OpenCV drops a single channel
        mean = mean[:, :, None]
    return np.asarray(mean[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS], np.float64)


def _three(samples: Levels) -> Levels:
    return np.repeat(samples, 3, axis=2) if samples.shape[2] == 1 else samples
