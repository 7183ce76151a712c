"""The cases of `retinex` for benchmarks, tables and sheets."""

from enhance_cli.methods.cases import EVERYWHERE, PAIRED, Case

CASES = (
    Case("", {}, (*EVERYWHERE, "stacks"), shown=True, timed=True),
    Case("model full", {"model": "full"}, EVERYWHERE),
    Case("denoise 0", {"denoise": 0.0}, (*PAIRED, "two-tone", "stacks"), timed=True),
    Case("denoise .5", {"denoise": 0.5}, sets=(), timed=True),
    Case("under and over .5", {"under": 0.5, "over": 0.5}, sets=(), timed=True),
    Case("under alone", {"over": 0.0}, (*PAIRED, "shade")),
    Case("over alone", {"under": 0.0}, (*PAIRED, "highlights")),
)
