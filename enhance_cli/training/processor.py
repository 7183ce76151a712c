"""Lets training give the same bits on every processor with AVX2: the libraries it uses are limited to that.

NumPy, OpenCV and torch choose code by what the processor has, and each choice rounds in its own way. Over thousands of
steps the last bit of a sum becomes another network, neither better nor worse, but not the one that is shipped.
"""

from __future__ import annotations

import os

SETTINGS = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch
    "MKL_CBWR": "COMPATIBLE",  # torch's matrix products: other modes differ between makers of processors
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # torch's convolutions
    "OPENBLAS_CORETYPE": "Haswell",  # NumPy's and SciPy's matrix products
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OPENCV_CPU_DISABLE": "AVX512-SKX",
    "OPENCV_IPP": "disabled",  # it resizes by other code on each kind of processor
}
"""Environment variables that the libraries read once, when they are loaded."""


def limit() -> None:
    """Set `SETTINGS` for this process and its children. A library that is loaded already goes on as it is."""
    os.environ.update(SETTINGS)
