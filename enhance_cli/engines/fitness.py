"""Whether this torch can use a card, and if not, why. Imports torch, so it is only imported if there is a card."""

from __future__ import annotations

import re

import torch

from enhance_cli.engines.cards import Card, Driver

LEAST_MEMORY = 10**9
"""Free bytes below which `--device auto` does not use a card. The context of CUDA, the networks and one block of irle
need about this much; the bound was estimated, not measured on a card."""


def why_not(card: Card, driver: Driver) -> str | None:
    """Why torch cannot use a card at all, as the end of a sentence with what to do; None if it can."""
    built = torch.version.cuda
    if built is None:
        return (
            f"torch {torch.__version__} is built without CUDA; install a build with CUDA (https://pytorch.org), or use "
            "--device cpu"
        )
    if driver.cuda is not None and driver.cuda[0] < int(built.partition(".")[0]):
        # Within one major version of CUDA older drivers work too (CUDA's minor version compatibility).
        return (
            f"its driver is too old: it runs CUDA {_dotted(driver.cuda)} and torch {torch.__version__} needs {built}; "
            "update the driver, or install a build of torch for that version"
        )
    architectures = torch.cuda.get_arch_list()
    if architectures and not any(_runs(architecture, card.capability) for architecture in architectures):
        return (
            f"its compute capability {_dotted(card.capability)} is not supported by torch {torch.__version__}, which "
            f"is compiled for {', '.join(architectures)}; install a build of torch for this card"
        )
    if not torch.cuda.is_available() or card.number >= torch.cuda.device_count():
        try:
            torch.cuda.init()  # type: ignore[no-untyped-call]
        except (AssertionError, RuntimeError) as error:
            said = " ".join(str(error).split()).rstrip(".")
            return f"torch {torch.__version__} cannot start CUDA ({said[:200]}); restart the machine or its driver"
        return f"torch {torch.__version__} sees only {torch.cuda.device_count()} of the cards"
    return None


def free(card: Card) -> int | None:
    """Free bytes on a card; None if unknown."""
    try:
        return int(torch.cuda.mem_get_info(card.number)[0])
    except RuntimeError:
        return None


def too_full(card: Card) -> str | None:
    """Why a card has too little memory for `--device auto`; None if it has enough."""
    try:
        free = torch.cuda.mem_get_info(card.number)[0]
    except RuntimeError as error:  # opening a context takes memory too
        return f"its memory is full ({' '.join(str(error).split())[:120]})"
    if free < LEAST_MEMORY:
        return (
            f"it has {free / 1e9:.1f} GB free of {card.memory / 1e9:.1f} GB, less than {LEAST_MEMORY / 1e9:.0f} GB; "
            "name it with --device to use it anyway"
        )
    return None


def _runs(architecture: str, capability: tuple[int, int]) -> bool:
    """Whether code compiled for an architecture such as `sm_86`, or `compute_90` (PTX), runs on a card."""
    found = re.fullmatch(r"(sm|compute)_(\d+)([a-z]?)", architecture)
    if found is None:
        return False
    compiled = divmod(int(found[2]), 10)
    if found[3] == "a":
        return compiled == capability
    if found[1] == "compute":
        return compiled <= capability
    return compiled[0] == capability[0] and compiled[1] <= capability[1]


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
