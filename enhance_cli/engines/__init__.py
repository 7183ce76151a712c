"""Chooses the device, once: outside this package there is no `if cuda`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from enhance_cli.engines import cards
from enhance_cli.errors import DeviceError, UsageError

if TYPE_CHECKING:
    from enhance_cli.engines.base import Engine as Engine


def devices(text: str) -> tuple[str, ...]:
    """The devices that `--device` names: one, or several cards with commas between them.

    Raises:
        UsageError: one of them is not a device, or is named twice, or several are named and not all are cards.
    """
    named = tuple(part.strip() for part in text.split(","))
    for name in named:
        if name not in ("auto", "cpu") and not re.fullmatch(r"cuda(:\d+)?", name):
            raise UsageError(f"--device is auto, cpu, cuda or cuda:N, or several cards (cuda:0,cuda:1), not {name!r}.")
    indices = [name.partition(":")[2] or "0" for name in named]
    if len(named) > 1 and not all(name.startswith("cuda") for name in named):
        raise UsageError(f"--device takes several cards, such as cuda:0,cuda:1, but no other device with them: {text}.")
    if len({int(index) for index in indices}) < len(named):
        raise UsageError(f"--device names a card twice: {text}.")
    return named


def open_engine(
    device: str = "auto",
    *,
    threads: int = 1,
    weights: Path | None = None,
    card_memory: int | None = None,
    precision: Literal["auto", "full"] = "auto",
    remark: Callable[[str], None] = lambda text: None,
) -> Engine:
    """Open the engine that a user asked for.

    Args:
        device: `auto` (the first card that torch can use, else the CPU), `cpu`, `cuda` or `cuda:N`.
        threads: threads for one photo on the CPU.
        weights: folder of own weights; what it lacks is taken from the shipped ones.
        card_memory: bytes that photos may take on a card; None for what is free, less a quarter.
        precision: `auto` runs networks in half precision on a card where their methods say so (`Method.half`), `full`
            never does.
        remark: called with the reason for each card that `auto` does not use.

    Raises:
        UsageError: there is no such kind of device, or several are named.
        DeviceError: a CUDA device was named and is missing, or torch cannot use it.
    """
    if len(devices(device)) > 1:
        raise UsageError(f"Only one device can be used here, not {device}.")
    if device == "auto":
        driver = cards.driver()
        for card in driver.cards:
            try:
                return _cuda(f"cuda:{card.number}", driver, weights, card_memory, precision, spare=True)
            except DeviceError as error:
                remark(f"Not used: {error}")
        if driver.trouble is not None:
            remark(f"Using the CPU: {driver.trouble}.")
        device = "cpu"
    if device == "cpu":
        from enhance_cli.engines.cpu import CpuEngine

        return CpuEngine(threads, weights)
    return _cuda(device, cards.driver(), weights, card_memory, precision)


def _cuda(
    device: str,
    driver: cards.Driver,
    weights: Path | None,
    card_memory: int | None,
    precision: Literal["auto", "full"],
    *,
    spare: bool = False,
) -> Engine:
    """The engine of a card; with `spare`, a card with little free memory is refused."""
    index = int(device.partition(":")[2] or 0)
    card = next((card for card in driver.cards if card.number == index), None)
    try:
        from enhance_cli.engines import fitness
        from enhance_cli.engines.cuda import CudaEngine
    except ImportError as error:
        raise DeviceError(
            f"The device {_called(device, card)} needs torch, which is not installed here; use --device cpu."
        ) from error
    if card is not None:
        reason = fitness.why_not(card, driver) or (fitness.too_full(card) if spare else None)
        if reason is not None:
            raise DeviceError(f"The device {_called(device, card)} cannot be used: {reason}.")
    try:
        return CudaEngine(device, weights, card_memory=card_memory, half=False if precision == "full" else None)
    except RuntimeError as error:  # opening a context fails on a card that is full, or used by one process alone
        said = " ".join(str(error).split()).rstrip(".")
        raise DeviceError(
            f"The device {_called(device, card)} cannot be used: CUDA does not start there ({said[:200]})."
        ) from error


def _called(device: str, card: cards.Card | None) -> str:
    return device if card is None else f"{device} ({card.name})"


def cuda_cards() -> int:
    """How many NVIDIA GPUs the driver sees."""
    return len(cards.driver().cards)
