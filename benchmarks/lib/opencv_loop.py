"""A hand-written baseline: CLAHE on luma with OpenCV, for a file or a folder. Imports nothing of ours.

    python benchmarks/lib/opencv_loop.py one|loop|pool|codec IN OUT [THREADS]

`one` is a single file, `loop` a folder, `pool` a folder in two threads with OpenCV itself single-threaded; `codec` only
decodes and encodes, by simplejpeg in a pool of two. THREADS is the size of both pools.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

QUALITY = 90


def clahe(luma: Any, clip_limit: float = 2.0, grid: tuple[int, int] = (8, 8)) -> Any:
    """OpenCV's CLAHE of a plane; `grid` is rows and columns."""
    import cv2

    # A new object for each photo: it keeps buffers of its own, which threads must not share.
    return cv2.createCLAHE(clip_limit, (grid[1], grid[0])).apply(luma)


def enhance(source: Path, target: Path) -> None:
    """One file."""
    import cv2

    planes = cv2.cvtColor(cv2.imread(str(source)), cv2.COLOR_BGR2YCrCb)
    planes[..., 0] = clahe(planes[..., 0])
    back = cv2.cvtColor(planes, cv2.COLOR_YCrCb2BGR)
    cv2.imwrite(str(target), back, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def code(source: Path, target: Path) -> None:
    """Decode and encode, nothing between."""
    import simplejpeg

    picture = simplejpeg.decode_jpeg(source.read_bytes(), "RGB")
    target.write_bytes(simplejpeg.encode_jpeg(picture, quality=QUALITY, colorsubsampling="420"))


def main(way: str, source: Path, target: Path, threads: int = 2) -> None:
    """Work through a file or a folder."""
    if way == "one":
        enhance(source, target)
        return
    if way == "pool":
        import cv2

        cv2.setNumThreads(1)
    target.mkdir(parents=True, exist_ok=True)
    files = sorted(source.iterdir())
    with ThreadPoolExecutor(1 if way == "loop" else threads) as pool:
        list(pool.map(code if way == "codec" else enhance, files, [target / path.name for path in files]))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), *map(int, sys.argv[4:]))
