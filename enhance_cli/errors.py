"""Every failure a user can meet, as one tree; each class owns its exit code and its `kind` in reports.

    EnhanceError                    70  a bug of ours unless a subclass says otherwise
    ├── UsageError                   2  the command line or the arguments do not make sense
    ├── WeightsError                 3  weights are missing, damaged or of the wrong shape
    ├── OutputError                  4  the output folder cannot be written, or the disk is full
    │   ├── UnreachableBucket        4  a bucket cannot be listed or asked
    │   └── ReaderGone             141  the reader of stdout has gone
    ├── DeviceError                  5  the named device is not available
    └── PhotographError              1  one photo cannot be enhanced; the run goes on
        ├── MissingSource               it does not exist, or is not a regular file
        ├── UnreadableSource            the operating system refuses to read it
        ├── UnsupportedFormat           no codec here reads it, or none writes the wanted format
        ├── CorruptPicture              its bytes are truncated or damaged
        ├── PictureTooLarge             its header announces more pixels than allowed
        ├── ChangedSource               another program wrote to it while it was read
        ├── OccupiedOutput              another program put a file at the output path during the run
        ├── Protected                   it must not be replaced: read-only, another user's, or its backup is in the way
        ├── WouldLose                   in place, something else in the file would be lost
        ├── UnfitPlan                   the given plan was made for a different image size
        ├── FailedCheck                 the output read back differs from what was written
        ├── OutOfMemory                 it needs more memory than the system gives
        ├── OutOfCardMemory             it needs more memory than the card has free
        ├── OutOfTime                   it took longer than `--timeout`
        └── Crashed                     the process that worked on it died

A message is one sentence: which path, what is wrong, what to do. Tracebacks are for `--debug`.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import ClassVar, Self


class ExitCode(IntEnum):
    """Exit codes of the process."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    WEIGHTS = 3
    OUTPUT = 4
    DEVICE = 5
    ALL_FAILED = 6
    BUG = 70
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


class EnhanceError(Exception):
    """The base class; raised itself only if no subclass fits."""

    kind: ClassVar[str] = "error"
    exit_code: ClassVar[ExitCode] = ExitCode.BUG


class Terminated(BaseException):
    """SIGTERM arrived: the counterpart of KeyboardInterrupt, raised by a program's signal handler."""


class UsageError(EnhanceError):
    """The command line or the arguments do not make sense together."""

    kind = "usage"
    exit_code = ExitCode.USAGE

    def in_python(self) -> Self:
        """The same message for Python callers, with keywords: `skip_existing` for `--skip-existing`."""
        return type(self)(re.sub(r"--([a-z]+(?:-[a-z]+)*)", lambda found: found[1].replace("-", "_"), str(self)))


class WeightsError(EnhanceError):
    """Weights are missing, damaged, of the wrong shape, or do not match their manifest."""

    kind = "weights"
    exit_code = ExitCode.WEIGHTS


class OutputError(EnhanceError):
    """The output cannot be written: permissions, a vanished folder, a full disk."""

    kind = "output"
    exit_code = ExitCode.OUTPUT


class UnreachableBucket(OutputError):
    """A bucket cannot be listed, or asked for an object: what is to be done is not known."""


class ReaderGone(OutputError):
    """The reader of stdout has gone: the run ends without a message."""

    kind = "output"
    exit_code = ExitCode.BROKEN_PIPE


class DeviceError(EnhanceError):
    """The named device is missing or was lost."""

    kind = "device"
    exit_code = ExitCode.DEVICE


class PhotographError(EnhanceError):
    """One photo cannot be enhanced; the others go on."""

    kind = "photograph"
    exit_code = ExitCode.SOME_FAILED


class MissingSource(PhotographError):
    """There is no regular file at the path."""

    kind = "missing"


class UnreadableSource(PhotographError):
    """The operating system does not let us read it."""

    kind = "unreadable"


class UnsupportedFormat(PhotographError):
    """No codec here reads these bytes, or none can write what was asked for."""

    kind = "unsupported"


class CorruptPicture(PhotographError):
    """The bytes are truncated or damaged."""

    kind = "corrupt"


class PictureTooLarge(PhotographError):
    """The header announces more pixels than `--max-pixels` allows."""

    kind = "too-large"


class ChangedSource(PhotographError):
    """The file was written to, or went away, while it was read."""

    kind = "changed"


class OccupiedOutput(PhotographError):
    """During the run another program put a file at the output path, or changed the file that was there."""

    kind = "occupied"


class Protected(PhotographError):
    """The photo or its backup must not be replaced (`--in-place`, `enhance restore`)."""

    kind = "protected"


class WouldLose(PhotographError):
    """Replacing the file would lose something that it holds in addition to its image (`--drop-extras`)."""

    kind = "would-lose"


class UnfitPlan(PhotographError):
    """The plan of `--plan` was made for a different image size."""

    kind = "plan"


class FailedCheck(PhotographError):
    """The output was read back before it was put in place, and is not the image that was written."""

    kind = "check"


class OutOfMemory(PhotographError):
    """It needs more memory than the system gives."""

    kind = "memory"


class OutOfCardMemory(PhotographError):
    """The card has too little free memory for it, alone and in the smallest tiles."""

    kind = "gpu-memory"


class OutOfTime(PhotographError):
    """It took longer than `--timeout`."""

    kind = "timeout"


class Crashed(PhotographError):
    """The process that worked on it died (`--isolate`)."""

    kind = "crashed"
