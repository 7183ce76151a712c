"""Choosing the device, once: outside this package there is no `if cuda`."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import TYPE_CHECKING

from enhance_cli.errors import DeviceError, UsageError

if TYPE_CHECKING:
    from enhance_cli.engines.base import Engine as Engine


def open_engine(device: str = "auto", *, threads: int = 1, weights: Path | None = None) -> Engine:
    """Open the engine that a user asked for.

    Args:
        device: `auto` (CUDA if there is a GPU that torch can use, else the CPU), `cpu`, `cuda` or `cuda:N`.
        threads: threads for one photo on the CPU.
        weights: folder of own weights; what it lacks is taken from the shipped ones.

    Raises:
        UsageError: there is no such kind of device.
        DeviceError: a CUDA device was named and is missing.
    """
    if device == "auto":
        if cuda_cards() > 0:
            try:
                return _cuda("cuda:0", weights)
            except DeviceError:
                pass  # a GPU that torch cannot use: `enhance doctor` reports it
        device = "cpu"
    if device == "cpu":
        from enhance_cli.engines.cpu import CpuEngine

        return CpuEngine(threads, weights)
    if re.fullmatch(r"cuda(:\d+)?", device):
        return _cuda(device, weights)
    raise UsageError(f"--device is auto, cpu, cuda or cuda:N, not {device!r}.")


def _cuda(device: str, weights: Path | None) -> Engine:
    try:
        from enhance_cli.engines.cuda import CudaEngine
    except ImportError as error:
        raise DeviceError(f"The device {device} needs torch, which is not installed here; use --device cpu.") from error
    return CudaEngine(device, weights)


def cuda_cards() -> int:
    """How many NVIDIA GPUs the driver sees. The driver is asked directly, because importing torch takes a second."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value
