"""Who is told of a run while it goes on: the command line's console, or nobody."""

from __future__ import annotations

from typing import Protocol

from enhance_cli.types import Outcome


class Listener(Protocol):
    """Told in the thread that runs; what it raises ends the run."""

    def remark(self, text: str) -> None:
        """A sentence that a person may like to read."""
        ...

    def trouble(self, text: str) -> None:
        """A sentence about something that went wrong, beside single photos."""
        ...

    def planned(self, source: str, frames: list[str], output: str) -> None:
        """What would be done for one photo, in a run that does nothing (`dry_run`)."""
        ...

    def begins(self, total: int) -> None:
        """So many images will be written, if none fails."""
        ...

    def finished(self, outcome: Outcome) -> None:
        """An image is in place, failed, or was left alone."""
        ...


class Silent:
    """Listens to nothing."""

    def remark(self, text: str) -> None:
        """Nothing."""

    def trouble(self, text: str) -> None:
        """Nothing."""

    def planned(self, source: str, frames: list[str], output: str) -> None:
        """Nothing."""

    def begins(self, total: int) -> None:
        """Nothing."""

    def finished(self, outcome: Outcome) -> None:
        """Nothing."""
