"""Torch on the CPU in place of a card: `python stand_in.py ARGUMENTS...` is `enhance` where `cuda:0` is such a one.

The driver and `torch.cuda` are those of `engines/fake_cards.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a program it is not run from the repository

from tests.engines.fake_cards import NEW, install


def stand_in(monkeypatch: Any, *cards: Any, **machine: Any) -> None:
    """Engines of cards work on the CPU, under the names of their cards; arguments are those of `install`."""
    import torch

    from enhance_cli.engines.cuda import CudaEngine

    install(monkeypatch, *cards, **machine)

    def opened(self: CudaEngine, device: str) -> tuple[torch.device, str]:
        number = int(device.partition(":")[2] or 0)
        return torch.device("cpu"), f"cuda:{number} ({torch.cuda.get_device_name(number)})"

    monkeypatch.setattr(CudaEngine, "_opened", opened)


if __name__ == "__main__":
    import pytest

    from enhance_cli.__main__ import run

    stand_in(pytest.MonkeyPatch(), NEW)
    run()
