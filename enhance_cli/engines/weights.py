"""Finds weights, shipped or a user's own, and refuses any that do not match their manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from enhance_cli.errors import UsageError, WeightsError
from enhance_cli.types import Method

if TYPE_CHECKING:
    from enhance_cli.types import Array

_PACKAGE = Path(__file__).resolve().parents[1]

_SUFFIXES = ("onnx", "safetensors")
"""The two files of a network, beside its manifest `<stem>.json`."""


class Owner(Protocol):
    """The owner of weights: a method, or a network shared by several methods."""

    @property
    def name(self) -> str:
        """The beginning of the ids of its weights and, with `_` for `-`, the name of its folder."""
        ...

    @property
    def weights(self) -> tuple[str, ...]:
        """Stems of the files."""
        ...


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
    own: bool = False
    """Whether it is a user's own (`--weights`), not a shipped one."""

    @property
    def advice(self) -> str:
        """The advice for a file that cannot be used."""
        return _advice(self.own)


def report(networks: Sequence[Weights], own: Path | None) -> dict[str, Any] | None:
    """The report's `weights` field.

    Args:
        networks: those that run, the one that decides most first; it gives `id` and `sha256`.
        own: the folder of own weights, if there is one: `own` and `shipped` then say which network is from where.
    """
    if not networks:
        return None
    line: dict[str, Any] = {"id": networks[0].id, "sha256": networks[0].sha256}
    if own is not None:
        line["own"] = {item.path.stem: item.sha256 for item in networks if item.own}
        line["shipped"] = [item.path.stem for item in networks if not item.own]
    return line


def own_folder(given: Path, method: Owner) -> Path:
    """Where own weights of a method are: in `given`, or in the folder that `enhance train --out given` made there.

    Raises:
        UsageError: `given` is not a readable folder.
        WeightsError: it holds no network of the method.
    """
    inner = given / _folder_name(method)
    folder = inner if inner.is_dir() else given
    try:
        stems = {path.stem for path in folder.iterdir() if path.suffix[1:] in ("json", *_SUFFIXES)}
    except NotADirectoryError:
        raise UsageError(f"--weights {given} is a file; give the folder that `enhance train` wrote.") from None
    except OSError as error:
        raise UsageError(f"--weights {given} cannot be read: {error.strerror}.") from error
    if stems.isdisjoint(method.weights):
        raise WeightsError(
            f"{folder} holds no weights of {method.name} (which are called {', '.join(method.weights)}); give the "
            f"folder that `enhance train {method.name}` wrote."
        )
    return folder


def find(method: Owner, stem: str, suffix: str, own: Path | None = None) -> Weights:
    """Locate and verify `<stem>.<suffix>`: the user's own if the folder holds that network, else the shipped one.

    Own weights must also be of this method and have the sizes of the shipped network, for which the code around it is
    written; the sizes are read from the `.safetensors`, whatever `suffix` is.

    Args:
        method: whose weights.
        stem: one of `method.weights`.
        suffix: `onnx` or `safetensors`.
        own: a folder of own weights (see `own_folder`).

    Raises:
        UsageError: `own` is not a readable folder.
        WeightsError: a file or its manifest is missing, its sha256 differs, or it is another network.
    """
    folder, is_own = _place(method, stem, own)
    found = _verified(folder, stem, suffix, is_own)
    if is_own:
        if not found.id.startswith(f"{method.name}/"):
            raise WeightsError(f"{found.path} is {found.id}, which is not of {method.name}; {found.advice}.")
        tensors = _verified(folder, stem, "safetensors", is_own)
        shipped = _shipped_folder(method) / tensors.path.name
        if shipped.exists() and sizes(tensors) != sizes(replace(tensors, path=shipped)):
            raise WeightsError(
                f"{tensors.path} differs in size from {method.name}'s {stem}; train it with this version of enhance."
            )
    return found


def sizes(weights: Weights) -> dict[str, Any]:
    """What the header of a safetensors file says: `configuration`, and dtype and shape of every tensor by name.

    Raises:
        WeightsError: the file holds something else.
    """
    header, _ = _header(weights)
    try:
        configuration = json.loads(header.pop("__metadata__")["configuration"])
        return {
            "configuration": configuration,
            "tensors": {name: (item["dtype"], item["shape"]) for name, item in header.items()},
        }
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{weights.path} does not contain its dimensions ({error!r}); {weights.advice}.") from error


def read_arrays(weights: Weights) -> dict[str, Array]:
    """The float32 tensors of a safetensors file by name, for networks that are implemented as kernels.

    Raises:
        WeightsError: the file holds something else.
    """
    import numpy as np

    header, data = _header(weights)
    header.pop("__metadata__", None)
    try:
        arrays = {}
        for name, item in header.items():
            begin, end = item["data_offsets"]
            if item["dtype"] != "F32":
                raise ValueError(f"{name} is {item['dtype']}")
            arrays[name] = np.frombuffer(data[begin:end], "<f4").reshape(item["shape"]).copy()
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{weights.path} holds no float32 tensors ({error}); {weights.advice}.") from error
    return arrays


def manifests(method: Method, own: Path | None = None) -> tuple[bytes, ...]:
    """The manifests of a method's weights, own or shipped, to detect whether they have changed.

    Raises:
        UsageError: `own` is not a readable folder.
        WeightsError: it holds no network of the method.
    """
    folders = [(_place(method, stem, own)[0], stem) for stem in method.weights]
    for name in method.shares:
        folders += [(path.parent, path.stem) for path in sorted(shared_folder(name, own).glob("*.json"))]
    paths = (folder / f"{stem}.json" for folder, stem in folders)
    return tuple(path.read_bytes() if path.exists() else b"" for path in paths)


def shared_folder(name: str, own: Path | None) -> Path:
    """Where weights that several methods share are: in a folder of its name among the user's own, or shipped."""
    folder = None if own is None else own / name
    return folder if folder is not None and folder.is_dir() else weights_folder() / name


def _folder_name(method: Owner) -> str:
    return method.name.replace("-", "_")


def _shipped_folder(method: Owner) -> Path:
    return weights_folder() / _folder_name(method)


def _place(method: Owner, stem: str, own: Path | None) -> tuple[Path, bool]:
    """The folder that a network is taken from, and whether that is the user's own."""
    if own is not None:
        folder = own_folder(own, method)
        if any((folder / f"{stem}.{suffix}").exists() for suffix in ("json", *_SUFFIXES)):
            return folder, True
    return _shipped_folder(method), False


def _advice(own: bool) -> str:
    return "give the whole folder that `enhance train` wrote" if own else "install enhance again"


def _verified(folder: Path, stem: str, suffix: str, own: bool) -> Weights:
    """The file of a network, if it matches its manifest."""
    path, manifest_path = folder / f"{stem}.{suffix}", folder / f"{stem}.json"
    try:
        manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
        identity, wanted = str(manifest["id"]), manifest["sha256"][suffix]
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"{error.filename} cannot be read ({error.strerror}); {_advice(own)}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{manifest_path} is damaged ({error!r}); {_advice(own)}.") from error
    if found != wanted:
        was = "`enhance train` wrote" if own else "was shipped"
        raise WeightsError(f"{path} is not the file that {was} (its sha256 differs); {_advice(own)}.")
    return Weights(identity, found, path, own)


def _header(weights: Weights) -> tuple[dict[str, Any], memoryview]:
    """The header of a safetensors file and the bytes of its tensors.

    The format is eight bytes of length, JSON of that length, and the bytes of the tensors; without torch no package
    for it is installed.

    Raises:
        WeightsError: the file holds something else.
    """
    data = weights.path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8:start])
        if not isinstance(header, dict):
            raise ValueError("its header is no object")
    except ValueError as error:
        raise WeightsError(f"{weights.path} is not a safetensors file ({error}); {weights.advice}.") from error
    return header, memoryview(data)[start:]
