"""Measurements on a card: the share of copies, the peak of its memory, and its difference from the CPU."""

from __future__ import annotations

import importlib.metadata
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.lib import program, scenes
from benchmarks.lib.program import Asked, Row
from enhance_cli import methods
from enhance_cli.engines import cards, devices, open_engine
from enhance_cli.errors import EnhanceError, UsageError
from enhance_cli.methods.cases import Case
from enhance_cli.pipeline.recipe import Recipe
from enhance_cli.quality.pictures import PICTURE_SUFFIXES
from enhance_cli.types import Image

PHOTOS = 30
"""Of the parity, where no other number is asked for."""


def refusal(device: str) -> str | None:
    """Why a card cannot be measured, as a sentence; None if it can."""
    try:
        if len(devices(device)) > 1 or not device.startswith("cuda"):
            raise UsageError(f"--device is cpu or one card, such as cuda:0, not {device}.")
        open_engine(device).close()
    except EnhanceError as error:
        return str(error)
    return None


def about(device: str) -> Row:
    """Card, driver and torch, for the rows."""
    engine = open_engine(device)
    engine.close()
    versions = {"torch": importlib.metadata.version("torch"), "driver": cards.driver_release()}
    return {"device": engine.device, **versions}


def cases(asked: Asked, name: str) -> list[Case]:
    """The first timed case of a method, or those asked for; with the full network beside a lite one."""
    chosen = program.chosen(asked, name, timed=True)[: None if asked.cases else 1]
    full = [
        Case(case.name.replace("lite", "full"), {**case.controls, "model": "full"})
        for case in chosen
        if case.controls.get("model") == "lite" and not asked.cases
    ]
    return chosen + full


def watched(device: str) -> Any:
    """An engine that keeps the seconds of its copies in `seconds`.

    It waits for the device before and after each, so that a copy is not charged for the kernels before it. What the
    copies of two photos in flight hide behind kernels is therefore not in this figure: it is an upper bound.
    """
    from enhance_cli.engines.cuda import CudaEngine

    class Watched(CudaEngine):
        seconds = 0.0

        def _upload(self, *given: Any) -> Any:
            return self._timed(partial(super()._upload, *given))

        def _fetch(self, *given: Any) -> Any:
            return self._timed(partial(super()._fetch, *given))

        def _send(self, *given: Any) -> Any:
            return self._timed(partial(super()._send, *given))

        def _download(self, *given: Any) -> Any:
            return self._timed(partial(super()._download, *given))

        def _timed(self, copy: Callable[[], Any]) -> Any:
            finish(self.device)
            began = time.perf_counter()
            made = copy()
            finish(self.device)
            self.seconds += time.perf_counter() - began
            return made

    return Watched(device)


def finish(device: str) -> None:
    """Wait for all that a card has been given; the stand-in of tests has nothing to wait for."""
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.synchronize(device.partition(" ")[0])


def peak_mb(device: str, *, reset: bool = False) -> float | None:
    """The most that torch's tensors held of a card since the last reset, in MB; None for the stand-in of tests."""
    import torch

    if not torch.cuda.is_initialized():
        return None
    name = device.partition(" ")[0]
    if reset:
        torch.cuda.reset_peak_memory_stats(name)
    return float(torch.cuda.max_memory_allocated(name)) / 1e6


def recipe_of(engine: Any, name: str, case: Case) -> Recipe:
    """A case opened on an engine."""
    method = methods.get(name)
    return Recipe(engine, methods.open_enhancer(method, engine), method.controls(**case.controls))


def copying(engine: Any, recipe: Recipe) -> tuple[Callable[[Image], tuple[Image, dict[str, float]]], list[Row]]:
    """A call that enhances a photo on a `watched` engine, and a list that gets what each call has copied."""
    copies: list[Row] = []

    def totals() -> Any:
        seen = engine.traffic
        up, down = seen.trip_bytes_up + seen.other_bytes_up, seen.trip_bytes_down + seen.other_bytes_down
        return np.array([engine.seconds, up / 1e6, down / 1e6, seen.trips_up, seen.trips_down])

    def enhance(image: Image) -> tuple[Image, dict[str, float]]:
        before = totals()
        result = recipe.enhance(image)
        finish(engine.device)
        seconds, *copied = map(float, totals() - before)
        worked = (result.ms["estimate"] + result.ms["render"]) / 1e3
        row: Row = {"seconds": seconds, "share": seconds / worked}
        copies.append(row | dict(zip(("up_mb", "down_mb", "trips_up", "trips_down"), copied, strict=True)))
        return result.image, result.ms

    return enhance, copies


def parity(asked: Asked) -> Iterator[Row]:
    """The same photos on the card and on the CPU."""
    card, cpu = open_engine(asked.device), open_engine("cpu", threads=asked.threads)
    cpu.model = card.model  # where `auto` chooses the network by the device
    photos = list(pictures(asked))
    for name in asked.methods:
        for case in cases(asked, name):
            on_card, on_cpu = recipe_of(card, name, case), recipe_of(cpu, name, case)
            compared = [apart(on_card, on_cpu, photo) for photo in photos]
            psnr = [row["psnr"] for row in compared]
            yield {
                "method": name,
                "case": case.name,
                "photos": len(photos),
                "size": f"{asked.parity_side} px",
                "largest": max(row["largest"] for row in compared),
                "changed": float(np.mean([row["changed"] for row in compared])),
                "psnr": float(np.median(psnr)),
                "psnr_least": min(psnr),
            }


def apart(one: Recipe, two: Recipe, photo: Any) -> Row:
    """The difference of two engines for a photo: levels, share of samples, and PSNR (infinite if none differs)."""
    first, second = (recipe.enhance(Image(photo.copy())).image.pixels.astype(np.int64) for recipe in (one, two))
    difference = np.abs(first - second)
    error = float(np.mean(np.square(difference)))
    psnr = math.inf if error == 0.0 else 10.0 * math.log10(255.0**2 / error)
    return {"largest": int(difference.max()), "changed": float(np.mean(difference > 0)), "psnr": psnr}


def pictures(asked: Asked) -> Iterator[Any]:
    """Photos of a folder, evenly spread, or made ones; their long side at most `--parity-side`."""
    count, side = asked.photos or PHOTOS, asked.parity_side
    if asked.photographs is None:
        for number in range(count):
            yield scenes.soft(side * 3 // 4, side, number) // (1 + number % 4)
        return
    found = sorted(path for path in Path(asked.photographs).rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    if not found:
        raise SystemExit(f"{asked.photographs} holds no photos.")
    for path in program.spread(found, count):
        read = cv2.imread(str(path))
        if read is None:
            raise SystemExit(f"{path} is not a photo that can be read.")
        scale = min(1.0, side / max(read.shape[:2]))
        smaller = cv2.resize(read, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1.0 else read
        yield np.ascontiguousarray(smaller[..., ::-1])
