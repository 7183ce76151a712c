"""The retoucher that makes training pairs out of photographs alone: the paper's semi-supervised module.

A photograph is divided by its smoothed illumination, and its negative by that of the negative, at several gammas; the
results are fused with the photograph, and the detail is lifted (the paper's eq. 1; docs/papers.md, R1). The paper had a
person choose the coefficients for each of 500 clusters of histograms; here a search chooses them by an objective that
needs no reference, once, and the table is kept. For training only.

Smoothing: Min et al., "Fast global image smoothing based on weighted least squares", 2014. Fusion: Mertens et al.,
"Exposure fusion", 2007, as OpenCV has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from enhance_cli.engines.compiled import kernel

Codes = NDArray[np.uint8]
Plane = NDArray[np.float32]
Picture = NDArray[np.float32]

EPSILON = 1e-3
HISTOGRAM_BINS = 64


@dataclass(frozen=True, slots=True)
class Coefficients:
    """What the paper's person turns: everything of one retouching."""

    under: tuple[float, ...] = (0.75, 0.95)
    """Exponents gamma1 of the illumination: one brightened candidate each; the nearer to 1 the brighter."""

    over: tuple[float, ...] = (0.5,)
    """Exponents gamma2 of the negative's illumination: one darkened candidate each."""

    smoothing: float = 900.0
    """theta1 = theta2: how strongly illumination is smoothed; lambda of the weighted least squares."""

    edges: float = 0.06
    """Steps of illumination much larger than this stay steps."""

    contrast: float = 1.0  # theta3: the exponents of Mertens' three measures
    saturation: float = 1.0
    exposedness: float = 1.0

    detail: float = 0.3
    """alpha: how much of what smoothing by `detail_smoothing` takes away is added once more."""

    detail_smoothing: float = 20.0
    """theta4."""


@dataclass(frozen=True, slots=True)
class Search:
    """The size of the search; the paper has 500 clusters, of 82,000 photographs."""

    clusters: int = 16
    tries: int = 24
    members: int = 4
    """Photographs of a cluster that each try is judged on."""

    side: int = 96
    """Photographs are judged as squares of this side."""


@dataclass(frozen=True, slots=True)
class Table:
    """Coefficients by cluster of histograms."""

    centres: NDArray[np.float32]
    """clusters×64: cumulative histograms of max RGB."""

    rows: tuple[Coefficients, ...]

    def coefficients(self, photograph: Codes) -> Coefficients:
        """Those of the cluster whose centre is nearest."""
        distance = np.square(self.centres - cumulative_histogram(photograph)).sum(axis=1)
        return self.rows[int(distance.argmin())]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"centres": np.round(self.centres, 5).tolist(), "rows": [asdict(row) for row in self.rows]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Table:
        """What `to_json` gave.

        Raises:
            KeyError: it is no such table.
        """
        rows = [
            {name: _plain(row[name]) for name in (item.name for item in fields(Coefficients))} for row in values["rows"]
        ]
        return cls(np.array(values["centres"], np.float32), tuple(Coefficients(**row) for row in rows))


def retouched(photograph: Codes, coefficients: Coefficients) -> Codes:
    """The paper's equation 1: candidates, fused, with the detail lifted. H×W×3 uint8 to the same."""
    image = photograph.astype(np.float32) / np.float32(255.0)
    fused = fused_exposures(candidates(image, coefficients), coefficients)
    if coefficients.detail > 0.0:
        base = np.dstack(
            [smooth(fused[..., c], coefficients.detail_smoothing, coefficients.edges, fused[..., c]) for c in range(3)]
        )
        fused = fused + np.float32(coefficients.detail) * (fused - base)
    return np.asarray(np.rint(np.clip(fused, 0.0, 1.0) * 255.0), np.uint8)


def candidates(image: Picture, coefficients: Coefficients) -> list[Picture]:
    """I, then I / S(max I)^gamma1 for each gamma1, then 1 - (1 - I) / S(max(1 - I))^gamma2 for each gamma2."""
    negative = np.float32(1.0) - image
    found = [image]
    for exponents, picture in ((coefficients.under, image), (coefficients.over, negative)):
        light = illumination(picture, coefficients)[..., None]
        for exponent in exponents:
            quotient = np.clip(picture / (light ** np.float32(exponent) + np.float32(EPSILON)), 0.0, 1.0)
            found.append(quotient if picture is image else np.float32(1.0) - quotient)
    return found


def illumination(image: Picture, coefficients: Coefficients) -> Plane:
    """Max RGB, smoothed where it is smooth already, and never below itself, so that nothing clips."""
    bright = image.max(axis=2)
    smoothed = smooth(bright, coefficients.smoothing, coefficients.edges, bright)
    return np.asarray(np.maximum(smoothed, bright), np.float32)


def fused_exposures(pictures: Sequence[Picture], coefficients: Coefficients) -> Picture:
    """Mertens' fusion of pictures in 0..1."""
    merge = cv2.createMergeMertens(coefficients.contrast, coefficients.saturation, coefficients.exposedness)
    codes = [np.rint(picture * 255.0).astype(np.uint8) for picture in pictures]
    return np.clip(np.asarray(merge.process(codes), np.float32), 0.0, 1.0)


def smooth(plane: Plane, strength: float, edges: float, guide: Plane, rounds: int = 3) -> Plane:
    """Weighted least squares, along rows and columns in turn: flat where the guide is, with steps where it has them.

    Args:
        plane: H×W float32.
        strength: lambda; 0 changes nothing.
        edges: steps of the guide by this much weaken the tie between two pixels to 1/e.
        guide: H×W float32.
        rounds: of rows and columns; the strength falls by a factor of 4 from one to the next [Min et al., eq. 15].

    Returns:
        H×W float32 within the range of `plane`.
    """
    out = np.array(plane, np.float32, order="C")
    ties_across = np.exp(-np.abs(np.diff(guide, axis=1)) / np.float32(edges)).astype(np.float32)
    ties_down = np.exp(-np.abs(np.diff(guide, axis=0)) / np.float32(edges)).astype(np.float32).T.copy()
    for turn in range(rounds):
        share = 1.5 * 4.0 ** (rounds - 1 - turn) / (4.0**rounds - 1.0)
        _solve_rows(out, ties_across, np.float32(share * strength))
        turned = out.T.copy()
        _solve_rows(turned, ties_down, np.float32(share * strength))
        out = turned.T.copy()
    return out


@kernel
def _solve_rows(plane, ties, strength):  # type: ignore[no-untyped-def]
    """Solve (1 + strength × Laplacian of the ties) x = plane in every row: Thomas' algorithm, in place."""
    height, width = plane.shape
    above = np.empty(width, np.float32)
    for y in range(height):
        before = np.float32(0.0)
        for x in range(width):
            after = strength * ties[y, x] if x < width - 1 else np.float32(0.0)
            left = above[x - 1] if x > 0 else np.float32(0.0)
            solved = plane[y, x - 1] if x > 0 else np.float32(0.0)
            pivot = np.float32(1.0) + before + after - before * left
            above[x] = after / pivot
            plane[y, x] = (plane[y, x] + before * solved) / pivot
            before = after
        for x in range(width - 2, -1, -1):
            plane[y, x] += above[x] * plane[y, x + 1]


# --- the choice of coefficients ----------------------------------------------------------------------------


def search(photographs: Sequence[Codes], size: Search, random: np.random.Generator) -> Table:
    """Cluster photographs by histogram, and find for each cluster the coefficients that `objective` likes best.

    Args:
        photographs: H×W×3 uint8.
        size: of the search; with fewer photographs than clusters, each is its own.
        random: every draw follows from it.
    """
    from sklearn.cluster import KMeans

    histograms = np.stack([cumulative_histogram(photograph) for photograph in photographs])
    means = KMeans(min(size.clusters, len(photographs)), n_init=2, random_state=int(random.integers(2**31)))
    labels = means.fit_predict(histograms)
    rows = []
    for cluster in range(means.n_clusters):
        members = np.flatnonzero(labels == cluster)
        chosen = random.permutation(members)[: size.members]
        squares = [cv2.resize(photographs[i], (size.side, size.side), interpolation=cv2.INTER_AREA) for i in chosen]
        tries = [Coefficients(), *(drawn(random) for _ in range(size.tries - 1))]
        values = [np.mean([objective(retouched(square, one), square) for square in squares]) for one in tries]
        rows.append(tries[int(np.argmax(values))])
    return Table(np.asarray(means.cluster_centers_, np.float32), tuple(rows))


def drawn(random: np.random.Generator) -> Coefficients:
    """A try: gammas, smoothing, detail and Mertens' exponents at random."""
    return Coefficients(
        under=tuple(float(g) for g in np.sort(random.uniform(0.3, 0.98, int(random.integers(1, 4))))),
        over=tuple(float(g) for g in np.sort(random.uniform(0.3, 0.9, int(random.integers(1, 3))))),
        smoothing=float(10.0 ** random.uniform(2.0, 3.5)),
        edges=float(10.0 ** random.uniform(-1.6, -0.8)),
        contrast=float(random.uniform(0.0, 1.5)),
        saturation=float(random.uniform(0.0, 1.5)),
        exposedness=float(random.uniform(0.5, 2.0)),
        detail=float(random.uniform(0.0, 0.6)),
    )


def objective(output: Codes, before: Codes) -> float:
    """How good a retouched photograph looks without a reference; 0 is about as good as it gets.

    Exposure near .48, contrast near .24, the order of lightness kept, some colour, nothing clipped that was not.
    """
    grey = cv2.cvtColor(output, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
    exposure = (float(grey.mean()) - 0.48) ** 2 / 0.04
    contrast = (float(grey.std()) - 0.24) ** 2 / 0.02
    after, first = (
        cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA).max(axis=2).ravel() for picture in (output, before)
    )
    disorder = float(((after[:, None] >= after) != (first[:, None] >= first)).mean())
    red, green, blue = (output[..., channel].astype(np.float32) / 255.0 for channel in range(3))
    one, two = red - green, 0.5 * (red + green) - blue
    # Hasler and Süsstrunk's measure; photographs people call colourful have about .3.
    colour = float(np.hypot(one.std(), two.std()) + 0.3 * np.hypot(one.mean(), two.mean())) / 0.3
    clipped = float(((output == 0) | (output == 255)).mean()) - float(((before == 0) | (before == 255)).mean())
    return -exposure - contrast - 0.3 * disorder + 0.3 * min(colour, 1.0) - 0.5 * max(clipped, 0.0)


def cumulative_histogram(photograph: Codes) -> NDArray[np.float32]:
    """The shares of pixels whose max RGB is below each of 64 steps: what photographs are clustered by."""
    counts = np.bincount(
        photograph.max(axis=2).ravel().astype(np.intp) * HISTOGRAM_BINS // 256, minlength=HISTOGRAM_BINS
    )
    return np.asarray(np.cumsum(counts) / counts.sum(), np.float32)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
