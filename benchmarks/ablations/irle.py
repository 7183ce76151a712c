"""What irle does to noise and to casts."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import cv2
import numpy as np

from benchmarks.ablations.settings import enhanced
from benchmarks.lib.program import Asked, Row, each
from benchmarks.lib.sets import Sample, samples
from enhance_cli.quality.pictures import Picture, luma
from enhance_cli.quality.reference import mean_matched

PATCH = 32
CASTS = {"warm": (1.2, 1.0, 0.8), "lamp": (1.3, 0.9, 0.5), "sodium": (1.3, 0.7, 0.15), "blue": (0.5, 0.8, 1.3)}


def patches(plane: Picture) -> Picture:
    """The plane's patches: n×32×32."""
    rows, columns = (length // PATCH for length in plane.shape)
    cut = plane[: rows * PATCH, : columns * PATCH].reshape(rows, PATCH, columns, PATCH)
    return cut.transpose(0, 2, 1, 3).reshape(-1, PATCH, PATCH)


def band(plane: Picture) -> Picture:
    """The difference of Gaussians of 1 and 2 pixels."""
    return cv2.GaussianBlur(plane, (0, 0), 1.0) - cv2.GaussianBlur(plane, (0, 0), 2.0)


def noise(asked: Asked) -> Iterator[Row]:
    """What stage 2 takes from flat dark patches and leaves in busy ones of lol.

    Which patches are flat and dark, or busy, is read off the reference. Noise is the deviation from the best plane;
    sharpness the energy of the band that the reference explains: its projection on the reference's own band, so that
    noise does not count as sharpness.
    """
    y, x = np.mgrid[:PATCH, :PATCH]
    basis = np.stack([np.ones(PATCH * PATCH), y.ravel(), x.ravel()], axis=1)

    def one(sample: Sample) -> list[tuple[float, float]]:
        truth = luma(sample.reference) / 255.0
        calm, dark = patches(truth), patches(luma(sample.pixels)).mean(axis=(1, 2))
        spread = calm.std(axis=(1, 2)) / np.maximum(calm.mean(axis=(1, 2)), 0.02)
        flat = np.argsort(np.where(dark <= np.median(dark), spread, np.inf))[:8]
        wanted = patches(band(truth))
        busy = np.argsort(-wanted.std(axis=(1, 2)))[:24]
        found = []
        for controls in ({"stage": 1}, {}):
            output = enhanced(asked, sample.pixels, **controls).array
            plane = luma(mean_matched(output, sample.reference)) / 255.0
            rest = patches(plane)[flat].reshape(len(flat), -1).T
            rest = rest - basis @ np.linalg.lstsq(basis, rest, rcond=None)[0]
            sharpness = (patches(band(plane))[busy] * wanted[busy]).sum() / (wanted[busy] ** 2).sum()
            found.append((float(rest.std(axis=0).mean()), float(sharpness)))
        return found

    rows = each(one, samples(asked.data, "lol", asked.photos), asked.jobs)
    for at, (what, worst) in enumerate((("noise in flat dark patches", max), ("sharpness of busy patches", min))):
        before, after = ([row[stage][at] for row in rows] for stage in (0, 1))
        shares = [two / one for one, two in zip(before, after, strict=True)]
        means = {"stage 1": statistics.fmean(before), "stage 2": statistics.fmean(after)}
        yield {"case": what, **means, "share kept, median": statistics.median(shares), "worst": worst(shares)}


def casts(asked: Asked) -> Iterator[Row]:
    """How much of a cast is left: the chroma of the mean output, over that of no white balance, against no cast."""
    chosen = samples(asked.data, "lol", asked.photos)[:10]
    for name, tint in CASTS.items():
        for share in (0.5, 1.0):

            def one(sample: Sample, tint: tuple[float, ...] = tint, share: float = share) -> tuple[float, bool]:
                tinted = np.rint(np.clip(sample.pixels * np.asarray(tint), 0, 255)).astype(np.uint8)

                def cast(balance: float) -> tuple[float, bool]:
                    plain, result = (
                        enhanced(asked, picture, stage=1, white_balance=balance) for picture in (sample.pixels, tinted)
                    )
                    noted = any("tinted" in note for note in result.report["notes"])
                    return float(np.linalg.norm(ratios(result.array) - ratios(plain.array))), noted

                left, noted = cast(share)
                return left / cast(0.0)[0], noted

            found = each(one, chosen, asked.jobs)
            left = [left for left, _ in found]
            yield {
                "case": f"{name}, white balance {share}",
                "photos": len(found),
                "tint": tint,
                "cast left, median share": statistics.median(left),
                "worst": max(left),
                "with a note": sum(noted for _, noted in found),
            }


def ratios(picture: Picture) -> Picture:
    """Logs of red and blue over green, of the means."""
    red, green, blue = np.log(picture.reshape(-1, 3).mean(axis=0) + 1.0)
    return np.array([red - green, blue - green])
