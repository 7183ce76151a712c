"""The interface that receives the events of a run, such as the command line's console."""

from __future__ import annotations

from typing import Protocol

from enhance_cli.types import Outcome


class Listener(Protocol):
    """Called in the thread of the run; an exception that it raises ends the run."""

    def remark(self, text: str) -> None:
        """An informative message."""
        ...

    def trouble(self, text: str) -> None:
        """A message about a problem that does not belong to a single photo."""
        ...

    def planned(self, source: str, frames: list[str], output: str) -> None:
        """What would be done for one photo, in a dry run."""
        ...

    def begins(self, total: int) -> None:
        """The number of images that will be written if none fails."""
        ...

    def finished(self, outcome: Outcome) -> None:
        """An image was placed, failed, or was skipped."""
        ...


class Silent:
    """Ignores all events."""

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
