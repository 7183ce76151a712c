"""What the settings, networks, losses and data of a method are worth, and figures that only it has.

    python -m benchmarks.ablations METHOD DATA [--parts solvers ...] [--photos 12] [--model lite] [--store FILE]
    python -m benchmarks.ablations METHOD DATA --parts variants|areas --runs OUT [--iterations 300] [--cases NAME ...]

DATA is a folder with `test/` as for benchmarks.quality, and for trainings `train/` as for `enhance train`. Printed is a
JSON line for each row of the method's parts:

    settings   (clode: proxies solvers steps colours noise) PSNR, SSIM, hues and the network's evaluations by setting
    monotony   (clode) the share of dark photos whose mean luma rises over T = -1, 0, 1, 2, 3, 4
    variants   (clahe-adaptive, irle, retinex) short trainings with the same draws: figures of held-out photos. RUNS
               receives the trainings, and one that was interrupted is taken up
    areas      (local) the same, judged in each area of the paper's circles
    noise      (irle) what stage 2 takes from flat dark patches and leaves in busy ones
    casts      (irle) what is left of a cast, by the share of white balance
    kernels    (clahe-adaptive) a plane of 12 megapixels, ours and OpenCV's in turn
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from enhance_cli import methods  # isort: skip  # before OpenCV: it chooses where compiled kernels are cached

import cv2

from benchmarks.ablations import areas, irle, kernels, settings, variants
from benchmarks.lib import program
from benchmarks.lib.program import Asked, Row

Part = Callable[[Asked], Iterator[Row]]

PARTS: dict[str, dict[str, Part]] = {
    "clahe-adaptive": {"kernels": kernels.clahe, "variants": variants.trained},
    "clode": {
        **{name: partial(settings.compared, table) for name, table in settings.CLODE.items()},
        "monotony": settings.monotony,
    },
    "irle": {"noise": irle.noise, "casts": irle.casts, "variants": variants.trained},
    "local": {"areas": areas.areas},
    "retinex": {"variants": variants.trained},
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a method's parts."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parts = PARTS.get(words[0] if words else "", {})
    parser = program.parser(__doc__, list(parts), rounds=15)
    parser.add_argument("method", choices=[name for name in methods.names() if name in PARTS])
    parser.add_argument("data", type=Path, help="folder with test/, and train/ for trainings")
    parser.add_argument("--model", default="lite", choices=("lite", "full"), help="of clode and irle (lite)")
    parser.add_argument("--runs", type=Path, help="folder of trainings, which are taken up again")
    parser.add_argument("--iterations", type=int, help="of each training")
    asked = parser.parse_args(words)
    cv2.setNumThreads(1)  # the pool has the cores

    def of_method(part: Part, asked: Asked) -> Iterator[Row]:
        return ({"method": asked.method, **row} for row in part(asked))

    program.run(asked, {name: partial(of_method, part) for name, part in parts.items()})


if __name__ == "__main__":
    main()
