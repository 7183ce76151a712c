"""How much of a colour cast irle leaves, by its white balance."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks.lib.program import Asked, Row, each
from benchmarks.lib.sets import Sample, samples
from benchmarks.quality import opened
from enhance_cli.quality.pictures import Picture

CASTS = {"warm": (1.2, 1.0, 0.8), "lamp": (1.3, 0.9, 0.5), "sodium": (1.3, 0.7, 0.15), "blue": (0.5, 0.8, 1.3)}
"""Factors of red, green and blue."""


def casts(asked: Asked) -> Iterator[Row]:
    """What is left of each cast on ten photos of lol, as a share of what is left without white balance."""
    photos = samples(asked.data, "lol", asked.photos)[:10]
    for name, tint in CASTS.items():
        for balance in (0.5, 1.0):
            found = each(partial(judged, tint=tint, balance=balance), photos, asked.jobs)
            shares = [share for share, _ in found]
            about = {"case": f"{name}, white balance {balance}", "photos": len(found), "tint": tint}
            noted = sum(noted for _, noted in found)
            yield about | {"left": statistics.median(shares), "worst": max(shares), "with_a_note": noted}


def judged(sample: Sample, tint: tuple[float, ...], balance: float) -> tuple[float, bool]:
    """The share of a photo's cast that is left, and whether the report notes it."""
    tinted = np.rint(np.clip(sample.pixels * np.asarray(tint), 0, 255)).astype(np.uint8)
    left, notes = cast(sample.pixels, tinted, balance)
    return left / cast(sample.pixels, tinted, 0.0)[0], any("tinted" in note for note in notes)


def cast(pixels: Picture, tinted: Picture, balance: float) -> tuple[float, list[str]]:
    """The distance in colour of what becomes of a tinted photo and of the photo itself, and the notes of the former."""
    plain, result = (opened("irle").enhance(photo, stage=1, white_balance=balance) for photo in (pixels, tinted))
    return float(np.linalg.norm(ratios(result.array) - ratios(plain.array))), result.report["notes"]


def ratios(picture: Picture) -> Picture:
    """Logs of red and blue over green, of the means."""
    red, green, blue = np.log(picture.reshape(-1, 3).mean(axis=0) + 1.0)
    return np.array([red - green, blue - green])
