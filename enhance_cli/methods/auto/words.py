"""Describes how a photo looks in words, with the quantities on which the description is based."""

from __future__ import annotations

from typing import NamedTuple

from enhance_cli.methods.auto.measure import BRIGHT, DARK, Flatness, Quantities


class Reason(NamedTuple):
    """A sentence without its full stop, and the quantities on which it is based."""

    text: str
    quantities: dict[str, float]


class Finding(NamedTuple):
    """How a photo looks: `kind` is one word or two for it."""

    kind: str
    text: str
    names: tuple[str, ...]


def finding(seen: Quantities) -> Finding:
    """How a photo looks: the most striking fault of its light, or that there is none."""
    dark, bright = f"{seen['dark']:.0%}", f"{seen['bright']:.0%}"
    if seen["dark"] >= 0.25 and seen["bright"] >= 0.12 and seen["two tones"] >= 0.7:
        lit = "is clipped to white" if seen["white"] > 0.5 * seen["bright"] else "is well exposed or brighter"
        text = f"backlit: {dark} of the photo is darker than {DARK:g} while {bright} {lit}"
        return Finding("backlit", text, ("dark", "bright", "two tones"))
    if seen["p95"] < 0.4:
        text = (
            f"very dark: half of the photo is darker than {seen['p50']:.2f}, and 95% is darker than {seen['p95']:.2f}"
        )
        return Finding("very dark", text, ("p50", "p95", "dark"))
    if seen["mean"] < 0.3:
        text = f"dark: its mean is {seen['mean']:.2f}, and {dark} of the photo is darker than {DARK:g}"
        return Finding("dark", text, ("mean", "dark", "p95"))
    if seen["white"] >= 0.08 and seen["mean"] > 0.5:
        text = f"over-exposed: {seen['white']:.0%} of the photo is clipped to white, and its mean is {seen['mean']:.2f}"
        return Finding("over-exposed", text, ("white", "mean", "p50"))
    if seen["mean"] > 0.68:
        text = f"bright: its mean is {seen['mean']:.2f}, and {bright} of the photo is brighter than {BRIGHT:g}"
        return Finding("bright", text, ("mean", "bright", "p05"))
    if seen["p95"] - seen["p05"] < 0.5:
        text = f"flat: 90% of the photo is between {seen['p05']:.2f} and {seen['p95']:.2f}"
        return Finding("flat", text, ("p05", "p95", "local contrast"))
    if seen["dark channel"] > 0.3:
        text = f"hazy: even the darkest tones are at {seen['dark channel']:.2f} in most places"
        return Finding("hazy", text, ("dark channel", "p05", "local contrast"))
    if seen["mean"] < 0.36:
        text = (
            f"rather dark: its mean is {seen['mean']:.2f}, and tones range from {seen['p05']:.2f} to {seen['p95']:.2f}"
        )
        return Finding("rather dark", text, ("mean", "p05", "p95"))
    text = f"its mean is {seen['mean']:.2f}, and tones range from {seen['p05']:.2f} to {seen['p95']:.2f}"
    return Finding("well exposed", text, ("mean", "p05", "p95"))


FLAT, COMMON, COLOURS, STEP = 0.3, 0.35, 90, 22.0
"""Of a drawing: least shares of flat pixels and of four colours, most colours, and least step at its edges. Of 961
frames of exposure stacks, many of them nearly black or white, two meet all four: lamps in the dark."""

PAGE_FLAT, PAGE_COMMON, PAGE_STEP = 0.5, 0.7, 17.0
"""The same of a page of text, whose letters are blurred on the small copy: it is flatter and of fewer colours, and has
less steep edges. Of 900 photos, one meets these, which meets the others too."""


DENSE_COMMON, DENSE_COLOURS, DENSE_FLAT, DENSE_MEAN = 0.75, 24, 0.6, 0.45
"""Of a bright page full of fine text or numbers, whose letters are no more than grey grain on the small copy: least
share of four colours, most colours, most flat pixels (fog has few colours too, but is flat), and least mean. Of 1,245
photos, none meets all four."""


def not_a_photo(flat: Flatness) -> Reason | None:
    """The reason for leaving alone a drawing, a screenshot, a scan or a mask; None for a photo."""
    if (
        flat.common >= DENSE_COMMON
        and flat.colours <= DENSE_COLOURS
        and flat.flat <= DENSE_FLAT
        and flat.mean >= DENSE_MEAN
    ):
        told = {"flat": flat.flat, "common colours": flat.common, "colours": float(flat.colours)}
        return Reason(f"not a photo: full of fine detail, and four colours cover {flat.common:.0%}", told)
    few = flat.flat >= FLAT and flat.common >= COMMON and flat.colours <= COLOURS
    page = flat.flat >= PAGE_FLAT and flat.common >= PAGE_COMMON
    if not few or 0.0 < flat.step < (PAGE_STEP if page else STEP):
        return None
    covered = f"four colours cover {flat.common:.0%}"
    text = f"not a photo: {flat.flat:.0%} of it is flat, with sharp edges, and {covered}"
    told = {"flat": flat.flat, "common colours": flat.common, "colours": float(flat.colours), "step": flat.step}
    return Reason(text, told)
