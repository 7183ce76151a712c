"""Enhance a folder of photos from Python, several at once, and keep only what got brighter.

python examples/02_many_photographs.py photos enhanced
"""

import sys
from pathlib import Path

import enhance_cli as enhance

source, target = map(Path, sys.argv[1:])
target.mkdir(parents=True, exist_ok=True)
paths = sorted(path for path in source.iterdir() if path.suffix in (".jpg", ".png", ".webp"))

with enhance.open("clahe-adaptive") as method:
    # Results come in the order of the paths; a photo that fails is a Failure, and the others go on.
    for path, result in zip(paths, method.enhance_many(paths, strength=0.8), strict=True):
        if isinstance(result, enhance.Failure):
            print(f"{path.name}: {result.error}")
            continue
        before, after = (result.report["exposure"][when]["mean"] for when in ("before", "after"))
        if after > before:
            result.save(target / path.name)
        print(f"{path.name}: mean luma {before:.3f} -> {after:.3f}{'' if after > before else ', left alone'}")
