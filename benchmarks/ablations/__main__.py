"""What settings that users can choose are worth.

    python -m benchmarks.ablations DATA [--parts solvers ...] [--photos 12] [--store FILE]

DATA is a folder with `test/` as for benchmarks.quality. Printed is a JSON line for each row of the parts:

    grids                               (clahe-adaptive) PSNR, SSIM and hues by setting
    proxies solvers steps colours       (clode) the same, evaluations of the network, and distances to the exact output
    casts                               (irle) what is left of a colour cast, by the share of white balance
    kernels                             (clahe-adaptive) a plane of 12 megapixels, ours and OpenCV's in turn

Other settings: `python -m benchmarks.quality DATA --methods --row "METHOD CONTROL=VALUE ..."`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import enhance_cli  # noqa: F401 # isort: skip  # before OpenCV: it chooses where compiled kernels are cached

import cv2

from benchmarks.ablations import casts, kernels, settings
from benchmarks.lib import program

PARTS = {
    **{name: partial(settings.compared, table) for name, table in settings.TABLES.items()},
    "casts": lambda asked: ({"method": "irle", **row} for row in casts.casts(asked)),
    "kernels": lambda asked: ({"method": "clahe-adaptive", **row} for row in kernels.clahe(asked)),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts."""
    parser = program.parser(__doc__, list(PARTS), rounds=15)
    parser.add_argument("data", type=Path, help="folder with test/")
    asked = parser.parse_args(arguments)
    cv2.setNumThreads(1)  # the pool has the cores
    program.run(asked, PARTS)


if __name__ == "__main__":
    main()
