"""The cases of `clahe-adaptive` for benchmarks, tables and sheets."""

from enhance_cli.methods.cases import Case

CASES = (
    Case("8x8", {"grid": "8x8"}, shown=True, timed=True),
    Case("1x1", {"grid": "1x1"}, shown=True),
    Case("8x8, chroma kept", {"grid": "8x8", "chroma": "keep"}, timed=True),
)
