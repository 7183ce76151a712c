"""The cases of `auto` for benchmarks, tables and sheets."""

from enhance_cli.methods.cases import EVERYWHERE, Case

CASES = (Case("", {}, EVERYWHERE, shown=True, timed=True),)
