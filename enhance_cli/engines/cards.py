"""The NVIDIA cards of this machine, as the driver reports them.

This queries the driver's library, because importing torch takes a second and most machines have no card.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

_LIBRARY, _MANAGEMENT = "libcuda.so.1", "libnvidia-ml.so.1"

_NO_CARD = (100, 34)
"""Results of `cuInit` if there is no card (CUDA_ERROR_NO_DEVICE), or if the library is only a stub."""

_CAPABILITY = 75, 76
"""Attributes of a device: the major and the minor number of its compute capability."""


class Card(NamedTuple):
    """One card."""

    number: int
    """N of `cuda:N`."""

    name: str
    capability: tuple[int, int]
    """Compute capability, such as (8, 6)."""

    memory: int
    """Total bytes."""


class Driver(NamedTuple):
    """What the driver reports."""

    cards: tuple[Card, ...] = ()
    cuda: tuple[int, int] | None = None
    """The latest version of CUDA that it supports; None without a driver."""

    trouble: str | None = None
    """Why the driver does not start; None if it does, or if there is no card."""


def driver(library: Any = None) -> Driver:
    """Query the driver for its cards, without those that CUDA_VISIBLE_DEVICES hides.

    Args:
        library: an opened libcuda; None opens the system's.
    """
    try:
        library = library or ctypes.CDLL(_LIBRARY)
    except OSError:
        return Driver()
    if failure := library.cuInit(0):
        trouble = None if failure in _NO_CARD else f"the NVIDIA driver does not start (error {failure} of cuInit)"
        return Driver(trouble=trouble)
    version = _number(library.cuDriverGetVersion)
    found = []
    for index in range(_number(library.cuDeviceGetCount)):
        device, memory = ctypes.c_int(0), ctypes.c_size_t(0)
        name = ctypes.create_string_buffer(256)
        library.cuDeviceGet(ctypes.byref(device), index)
        library.cuDeviceGetName(name, len(name), device)
        library.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
        major, minor = (_number(library.cuDeviceGetAttribute, attribute, device) for attribute in _CAPABILITY)
        found.append(Card(index, name.value.decode(errors="replace"), (major, minor), memory.value))
    return Driver(tuple(found), (version // 1000, version % 1000 // 10))


def driver_release(library: Any = None) -> str | None:
    """The release of the driver, such as 550.54.15; None if NVIDIA's management library is missing.

    Args:
        library: an opened libnvidia-ml; None opens the system's.
    """
    try:
        library = library or ctypes.CDLL(_MANAGEMENT)
    except OSError:
        return None
    if library.nvmlInit_v2():
        return None
    text = ctypes.create_string_buffer(96)
    failed = library.nvmlSystemGetDriverVersion(text, len(text))
    library.nvmlShutdown()
    return None if failed else text.value.decode(errors="replace")


def _number(ask: Any, *about: Any) -> int:
    value = ctypes.c_int(0)
    ask(ctypes.byref(value), *about)
    return value.value
