"""The cases of `local` for benchmarks, tables and sheets.

It brightens only what a mask selects, so figures for whole photos say little; its card has figures of lit areas.
"""

from enhance_cli.methods.cases import PAIRED, Case

_ALL = {"mask": "rect:0,0,100%,100%"}
_DISC = {"mask": "circle:50%,40%,25%"}

CASES = (
    Case("lamp", {"mask": "circle:50%,50%,20%", "transition": "30%"}, sets=(), shown=True),
    Case("whole photo", _ALL, (*PAIRED, "two-tone", "portraits"), timed=True),
    Case("whole photo, star", {**_ALL, "backbone": "star"}, (*PAIRED, "two-tone", "portraits"), timed=True),
    Case("circle", _DISC, sets=(), timed=True),
    Case("circle, star", {**_DISC, "backbone": "star"}, sets=(), timed=True),
    Case("circle, not locked", {**_DISC, "lock": False}, sets=(), timed=True),
    Case("most of the photo", {"mask": "rect:10%,10%,80%,80%", "transition": "6%"}, sets=(), timed=True),
    Case("dark regions", {"mask": "luma<0.2"}, sets=(), timed=True),
)
