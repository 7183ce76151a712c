"""NVIDIA's driver and `torch.cuda` as they are on machines with cards, for tests on a machine without one."""

# ruff: noqa: N802

from __future__ import annotations

import ctypes

GB = 10**9
OLD = ("GeForce GTX 1080", (6, 1), 8 * GB)
NEW = ("NVIDIA L4", (8, 9), 24 * GB)
SMALL = ("NVIDIA T400", (7, 5), 2 * GB)


class Libcuda:
    """As much of libcuda as is asked."""

    def __init__(self, *cards, cuda=12080, failure=0):
        self.cards, self.cuda, self.failure = cards, cuda, failure

    def cuInit(self, flags):
        return self.failure

    def cuDriverGetVersion(self, version):
        return self._put(version, self.cuda)

    def cuDeviceGetCount(self, count):
        return self._put(count, len(self.cards))

    def cuDeviceGet(self, device, index):
        return self._put(device, index)

    def cuDeviceGetName(self, name, size, device):
        ctypes.memmove(name, self.cards[device.value][0].encode(), len(self.cards[device.value][0]))
        return 0

    def cuDeviceTotalMem_v2(self, memory, device):
        return self._put(memory, self.cards[device.value][2])

    def cuDeviceGetAttribute(self, number, attribute, device):
        return self._put(number, self.cards[device.value][1][attribute - 75])

    @staticmethod
    def _put(reference, value):
        reference._obj.value = value
        return 0


class Management:
    """As much of libnvidia-ml as is asked."""

    def __init__(self, release="550.54.15"):
        self.release = release

    def nvmlInit_v2(self):
        return 0

    def nvmlSystemGetDriverVersion(self, text, size):
        ctypes.memmove(text, self.release.encode(), len(self.release))
        return 0

    def nvmlShutdown(self):
        return 0


ARCHITECTURES = ("sm_75", "sm_80", "sm_90")
"""That torch was compiled for."""


def install(monkeypatch, *cards, cuda=12080, failure=0, built="12.8", architectures=ARCHITECTURES, free=None):
    """Make this process see cards, and a torch with CUDA that knows them.

    Args:
        monkeypatch: of the test.
        cards: name, compute capability and memory of each.
        cuda: version of CUDA that the driver runs, as libcuda gives it.
        failure: what `cuInit` returns.
        built: version of CUDA that torch was built for; None for a build without.
        architectures: that torch was compiled for.
        free: bytes free on each card; None for all.
    """
    import torch

    from enhance_cli.engines import cards as module

    library, management = Libcuda(*cards, cuda=cuda, failure=failure), Management()
    real = ctypes.CDLL
    fakes = {module._LIBRARY: library, module._MANAGEMENT: management}
    # Other libraries are loaded while this one is in place: `ctypes` is one module for all.
    monkeypatch.setattr(ctypes, "CDLL", lambda name, *given, **named: fakes.get(name) or real(name, *given, **named))
    usable = built is not None and failure == 0
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: usable and len(cards) > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(cards) if usable else 0)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: list(architectures))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: cards[getattr(index, "index", index)][0])
    spare = [memory for _, _, memory in cards] if free is None else free

    def mem_get_info(device):
        index = getattr(device, "index", device)
        return spare[index], cards[index][2]

    monkeypatch.setattr(torch.cuda, "mem_get_info", mem_get_info)
