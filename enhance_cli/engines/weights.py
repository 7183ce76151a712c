"""Finds the weights that ship with this package, and refuses any that do not match their manifest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from enhance_cli.errors import WeightsError
from enhance_cli.types import Method

if TYPE_CHECKING:
    from enhance_cli.types import Array

_PACKAGE = Path(__file__).resolve().parents[1]


def weights_folder() -> Path:
    """`enhance_cli/weights` of an installed wheel, or `weights` next to the package in a checkout."""
    installed = _PACKAGE / "weights"
    return installed if installed.is_dir() else _PACKAGE.parent / "weights"


@dataclass(frozen=True, slots=True)
class Weights:
    """One verified weights file."""

    id: str
    sha256: str
    path: Path

    def report(self) -> dict[str, str]:
        """The report's `weights` field."""
        return {"id": self.id, "sha256": self.sha256}


def find(method: Method, stem: str, suffix: str) -> Weights:
    """Locate and verify `weights/<method>/<stem>.<suffix>`.

    Args:
        method: whose weights.
        stem: one of `method.weights`.
        suffix: `onnx` or `safetensors`.

    Raises:
        WeightsError: the file or its manifest is missing, or its sha256 differs.
    """
    folder = weights_folder() / method.name.replace("-", "_")
    path = folder / f"{stem}.{suffix}"
    manifest_path = folder / f"{stem}.json"
    try:
        manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
        wanted = manifest["sha256"][suffix]
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"{error.filename} cannot be read ({error.strerror}); install enhance again.") from error
    except (ValueError, KeyError) as error:
        raise WeightsError(f"{manifest_path} is damaged ({error!r}); install enhance again.") from error
    if found != wanted:
        raise WeightsError(f"{path} is not the file that was shipped (its sha256 differs); install enhance again.")
    return Weights(manifest["id"], found, path)


def read_arrays(weights: Weights) -> dict[str, Array]:
    """The float32 tensors of a safetensors file by name, for networks that are implemented as kernels.

    The format is eight bytes of length, JSON of that length, and the bytes of the tensors; without torch no package
    for it is installed.

    Raises:
        WeightsError: the file holds something else.
    """
    import numpy as np

    data = weights.path.read_bytes()
    try:
        start = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:start])
        header.pop("__metadata__", None)
        arrays = {}
        for name, item in header.items():
            begin, end = item["data_offsets"]
            if item["dtype"] != "F32":
                raise ValueError(f"{name} is {item['dtype']}")
            arrays[name] = np.frombuffer(data[start + begin : start + end], "<f4").reshape(item["shape"]).copy()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{weights.path} holds no float32 tensors ({error}); install enhance again.") from error
    return arrays


def manifests(method: Method) -> tuple[bytes, ...]:
    """The manifests of a method's weights, to detect whether they have changed."""
    paths = (weights_folder() / method.name.replace("-", "_") / f"{stem}.json" for stem in method.weights)
    return tuple(path.read_bytes() if path.exists() else b"" for path in paths)
