"""What the network decides for a photo, or a report says that it decided, and the tone curves that follow from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from enhance_cli.methods.clahe_adaptive import Adapted, statistics, structure
from enhance_cli.methods.clahe_adaptive.statistics import Whole

if TYPE_CHECKING:
    from enhance_cli.engines import Engine
    from enhance_cli.methods.clahe_adaptive.counts import Counts
    from enhance_cli.types import Array


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a photo before the network runs."""

    histograms: Array
    """rows×columns×256 counts."""

    shares: Array
    """rows×columns×256 shares of structure."""

    whole: Whole
    thumbnail: Array
    noise: Array
    """Standard deviations of noise in the tiles of `structure.noise_grid`, in levels."""

    night: float
    """See `structure.night`."""

    @classmethod
    def of(cls, counts: Counts, noise: Array, height: int, width: int) -> Seen:
        """From the counts of a height×width image."""
        rows, columns, _ = counts.histograms.shape
        thumbnail = counts.thumbnail()
        field = structure.structure_map(thumbnail, noise, height, width)
        shares = structure.structured_shares(thumbnail, field, height, width, rows, columns)
        of_whole = structure.structured_shares(thumbnail, field, height, width, 1, 1)[0, 0]
        histogram = counts.histograms.sum(axis=(0, 1)) if counts.whole is None else counts.whole
        night = structure.night(thumbnail, field, noise, histogram)
        return cls(counts.histograms, shares, Whole(histogram, of_whole), thumbnail, noise, night)

    def inputs(self) -> dict[str, Array]:
        """What the network takes for the limits of the tiles."""
        return statistics.network_inputs(self.histograms, self.shares, self.noise, self.thumbnail, self.whole)

    def inputs_of_whole(self) -> dict[str, Array]:
        """What it takes for the curve of the whole photo."""
        return replace(self, histograms=self.whole.histogram[None, None], shares=self.whole.shares[None, None]).inputs()


@dataclass(frozen=True, slots=True)
class Decision:
    """Limits and what goes with them (docs/papers.md, C10 to C14)."""

    limits: Array
    """rows×columns float32, without `--strength`."""

    local_shares: Array
    photo_limit: float
    retention: float
    blackness: float
    global_factor: float | None = None

    @classmethod
    def predicted(cls, seen: Seen, run: Callable[..., dict[str, Array]]) -> Decision:
        """What the network says."""
        rows, columns, _ = seen.histograms.shape
        outputs = run(**seen.inputs())
        of_whole = run(**seen.inputs_of_whole())
        return cls(
            statistics.clip_limits(outputs, rows, columns),
            structure.local_shares(seen.histograms, seen.shares),
            float(statistics.clip_limits(of_whole, 1, 1)[0, 0]),
            # Applied where it is used, not in training: the network need not know of frames that show nothing.
            statistics.retention(of_whole) * structure.shown(seen.whole.histogram, seen.whole.shares),
            max(statistics.blackness(of_whole), seen.night),
            statistics.global_factor(outputs),
        )

    @classmethod
    def given(cls, limits: Array, adapted: Adapted) -> Decision:
        """What a report says; its local shares may be of another grid."""
        rows, columns = limits.shape
        shares = statistics.area_pool(np.asarray(adapted.local_shares, np.float32), rows, columns)
        return cls(limits, shares, adapted.photo_limit, adapted.retention, adapted.blackness)

    def strengthened(self, strength: float) -> Decision:
        """With all limits multiplied."""
        lowest, highest = statistics.LOWEST, statistics.HIGHEST
        limits = np.clip(self.limits * np.float32(strength), lowest, highest)
        photo_limit = float(np.clip(np.float32(self.photo_limit) * np.float32(strength), lowest, highest))
        return replace(self, limits=limits, photo_limit=photo_limit)

    def curves(self, seen: Seen, area: int, engine: Engine, kernels: Any) -> Array:
        """The tone curves: rows×columns×256 float32."""
        whole = seen.whole
        curves: Array = engine.call(
            kernels.photo_curves,
            seen.histograms,
            seen.shares,
            self.limits,
            self.local_shares,
            np.asarray(whole.histogram, np.float32),
            whole.shares,
            self.photo_limit,
            self.retention,
            structure.dark_bound(whole.histogram, whole.shares),
            self.blackness,
            area,
        )
        return curves
