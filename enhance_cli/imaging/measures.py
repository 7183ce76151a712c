"""Measures of a whole image that are taken where its pixels are: `engine.measured(MEASURES, name, pixels, ...)`.

`kernels_cpu.py` and `kernels_cuda.py` have the same functions; the counts are equal, the means to a float32 rounding.
"""

from __future__ import annotations


class Measures:
    """Whose kernels they are, as `Engine.kernels` asks."""

    @staticmethod
    def module(name: str) -> str:
        """The full name of a module of this package."""
        return f"enhance_cli.imaging.{name}"


MEASURES = Measures()
