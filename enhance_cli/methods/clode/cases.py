"""The cases of `clode` for benchmarks, tables and sheets."""

from enhance_cli.methods.cases import EVERYWHERE, PAIRED, Case

_SLOW = ("lol",)
"""Test sets for cases that take minutes per megapixel."""

CASES = (
    Case("lite auto", {"model": "lite", "time": "auto"}, EVERYWHERE, shown=True),
    Case("lite T=3", {"model": "lite"}, (*PAIRED, "two-tone"), timed=True),
    Case("lite T=3, denoise 0", {"model": "lite", "denoise": 0.0}, sets=(), timed=True),
    Case("lite T=3, denoise 1", {"model": "lite", "denoise": 1.0}, sets=(), timed=True),
    Case("lite best", {"model": "lite", "time": "best"}, PAIRED, sees_reference=True),
    Case("lite T=3, all pixels", {"model": "lite", "proxy": "full"}, _SLOW),
    Case("full T=3", {"model": "full"}, _SLOW),
    Case("full auto", {"model": "full", "time": "auto"}, _SLOW),
    Case("full best", {"model": "full", "time": "best"}, _SLOW, sees_reference=True),
)
