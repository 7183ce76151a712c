"""Exports a trained network to the files that are shipped: safetensors, ONNX, manifest and card.

The safetensors file carries the network's dimensions, so that it rebuilds its network; the ONNX file is what
machines without torch run, and is compared with the network before anything is kept; the manifest names the
sha256 of both, which engines verify. onnx and onnxruntime are imported only while exporting.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from enhance_cli.errors import WeightsError

Inputs = Mapping[str, NDArray[np.float32]]

OPSET = 17
"""Old enough for every recent onnxruntime, new enough for every operator used here."""

TOLERANCE = 1e-4
"""Largest difference between network and ONNX, relative to the larger of 1 and the value: float32 rounding."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The files of one network."""

    id: str
    safetensors: Path
    onnx: Path
    manifest: Path
    sha256: Mapping[str, str]
    parity: float
    """The largest relative difference observed between network and ONNX."""


@dataclass(frozen=True, slots=True)
class Trained:
    """The results of training a method with several networks."""

    exported: Mapping[str, Exported]
    figures: Mapping[str, Mapping[str, float]]
    """The last validation of each network."""

    sheets: Sequence[Path]
    """Held-out photos, before and after."""


def export(
    network: nn.Module,
    folder: Path,
    stem: str,
    *,
    identity: str,
    configuration: Mapping[str, Any],
    samples: Sequence[Inputs],
    outputs: Sequence[str],
    dynamic_axes: Mapping[str, Mapping[int, str]],
) -> Exported:
    """Write `<stem>.safetensors`, `<stem>.onnx` and the manifest `<stem>.json` into a folder.

    Args:
        network: called with the arrays of a sample in order; returns as many tensors as `outputs` names.
        folder: made when absent.
        stem: common name of the files.
        identity: the id that reports show, such as `clahe-adaptive/estimator-1`.
        configuration: what rebuilds the network; plain JSON values.
        samples: inputs on which ONNX must agree; they should span the dynamic axes.
        outputs: names of the outputs.
        dynamic_axes: for each input or output, axis to the name of its free size.

    Raises:
        WeightsError: ONNX disagrees with the network; nothing is left behind under the final names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network = network.cpu().eval()
    paths = {kind: folder / f"{stem}.{kind}" for kind in ("safetensors", "onnx")}
    drafts = {kind: path.with_name(path.name + ".tmp") for kind, path in paths.items()}
    # One entry alone: safetensors writes several in an order that changes from run to run, and with it the sha256.
    metadata = {"configuration": json.dumps(dict(configuration), sort_keys=True)}
    save_file(
        {name: value.contiguous() for name, value in network.state_dict().items()}, drafts["safetensors"], metadata
    )
    _write_onnx(network, drafts["onnx"], samples[0], outputs, dynamic_axes, metadata)
    parity = max(compare(network, drafts["onnx"], sample) for sample in samples)
    if parity > TOLERANCE:
        for draft in drafts.values():
            draft.unlink()
        raise WeightsError(f"The ONNX export of {identity} differs from the network by {parity:.2g}; not written.")
    for kind, draft in drafts.items():
        draft.chmod(0o644)  # safetensors makes files readable only by the owner; weights are for everyone
        draft.replace(paths[kind])
    digests = {kind: sha256_of(path) for kind, path in paths.items()}
    manifest = folder / f"{stem}.json"
    manifest.write_text(json.dumps({"id": identity, "sha256": digests}, indent=2, sort_keys=True) + "\n")
    return Exported(identity, paths["safetensors"], paths["onnx"], manifest, digests, parity)


def read_configuration(path: Path) -> dict[str, Any]:
    """The configuration that rebuilds the network of a safetensors file.

    Raises:
        WeightsError: the file carries no configuration.
    """
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
    if "configuration" not in metadata:
        raise WeightsError(f"{path} carries no configuration; it was not exported by enhance.")
    configuration: dict[str, Any] = json.loads(metadata["configuration"])
    return configuration


def read_weights(network: nn.Module, path: Path) -> None:
    """Load a safetensors file into a network of the same dimensions, every tensor by name.

    Raises:
        WeightsError: names or shapes differ.
    """
    try:
        network.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise WeightsError(f"{path} does not fit this network: {error}") from error


def compare(network: nn.Module, path: Path, sample: Inputs) -> float:
    """Largest difference between a network and its ONNX file, relative to the larger of 1 and the value."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    got = session.run(None, dict(sample))
    with torch.no_grad():
        expected = [tensor.numpy() for tensor in network(*_tensors(sample))]
    return max(float((np.abs(a - b) / np.maximum(1.0, np.abs(b))).max()) for a, b in zip(got, expected, strict=True))


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _tensors(sample: Inputs) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(array) for array in sample.values())


def _write_onnx(
    network: nn.Module,
    path: Path,
    sample: Inputs,
    outputs: Sequence[str],
    dynamic_axes: Mapping[str, Mapping[int, str]],
    metadata: Mapping[str, str],
) -> None:
    import onnx

    with warnings.catch_warnings():
        # The newer exporter needs two more packages and writes the same few operators.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network,
            _tensors(sample),
            str(path),
            input_names=list(sample),
            output_names=list(outputs),
            dynamic_axes={name: dict(axes) for name, axes in dynamic_axes.items()},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load(path)
    # The exporter names constant outputs by numbers.
    for output, name in zip(model.graph.output, outputs, strict=True):
        if output.name != name:
            model.graph.node.append(onnx.helper.make_node("Identity", [output.name], [name]))
            output.name = name
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    onnx.save(model, path)
