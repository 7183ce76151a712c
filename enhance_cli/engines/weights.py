"""Finding the weights that ship with this package, and refusing any that are not what their manifest says."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from enhance_cli.errors import WeightsError
from enhance_cli.types import Method

_PACKAGE = Path(__file__).resolve().parents[1]


def weights_folder() -> Path:
    """`enhance_cli/weights` of an installed wheel, or `weights` beside the package in a checkout."""
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


def manifests(method: Method) -> tuple[bytes, ...]:
    """What the weights of a method say of themselves, for telling whether they are the same as before."""
    paths = (weights_folder() / method.name.replace("-", "_") / f"{stem}.json" for stem in method.weights)
    return tuple(path.read_bytes() if path.exists() else b"" for path in paths)
