"""The quality that a JPEG was coded at, estimated from its quantisation table."""

from __future__ import annotations

from functools import cache, lru_cache

DEFAULT_QUALITY = 95

_IJG_LUMA = (
    *(16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40),
    *(26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51),
    *(56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87),
    *(95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99),
)
"""The luma table of quality 50 in zigzag order (ITU-T T.81, table K.1)."""


@lru_cache(maxsize=64)  # a folder's images mostly come from one camera
def estimate_quality(luma_table: tuple[int, ...] | None) -> int:
    """The IJG quality, 1..100, whose luma table lies nearest to this one (sum of absolute differences).

    Exact for tables made by libjpeg; `DEFAULT_QUALITY` for None.
    """
    if luma_table is None:
        return DEFAULT_QUALITY
    exact = _ijg_tables().get(luma_table)
    if exact is not None:
        return exact

    def distance(item: tuple[tuple[int, ...], int]) -> int:
        return sum(abs(mine - min(theirs, 255)) for mine, theirs in zip(item[0], luma_table, strict=True))

    return min(_ijg_tables().items(), key=distance)[1]


@cache
def _ijg_tables() -> dict[tuple[int, ...], int]:
    """Luma table to quality, best quality first."""
    tables = {}
    for quality in range(100, 0, -1):
        scale = 5000 // quality if quality < 50 else 200 - 2 * quality
        tables[tuple(max(1, min(255, (base * scale + 50) // 100)) for base in _IJG_LUMA)] = quality
    return tables
