"""The cases of `irle` for benchmarks, tables and sheets."""

from enhance_cli.methods.cases import EVERYWHERE, PAIRED, Case

_LITE, _FULL = {"model": "lite"}, {"model": "full"}
_SLOW = ("lol",)
"""Test sets for cases that take minutes per megapixel."""

CASES = (
    Case("lite", _LITE, EVERYWHERE, shown=True, timed=True),
    Case("stage 1", {"stage": "1"}, (*PAIRED, "two-tone"), timed=True),
    Case("reference", {"stage": "reference"}, (*PAIRED, "two-tone")),
    Case("stage 1, white balance 0", {"stage": "1", "white_balance": 0.0}, (*PAIRED, "clean")),
    Case("lite, white balance 0", {**_LITE, "white_balance": 0.0}, _SLOW),
    Case("full", _FULL, _SLOW),
    Case("full, white balance 0", {**_FULL, "white_balance": 0.0}, _SLOW),
    Case("lite, adapt 50", {**_LITE, "adapt": 50}, _SLOW),
)
