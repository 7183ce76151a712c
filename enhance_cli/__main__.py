"""`enhance`, and `python -m enhance_cli`."""

from __future__ import annotations

import gc
import os
import signal
import sys

from enhance_cli.cli import streams


def main() -> None:
    """Run the command line; ends with SystemExit, like any."""
    # A start makes half a million objects that live as long as the process; looking through them for cycles at
    # the usual pace took a tenth of it. What a photo leaves behind is small and still collected.
    gc.set_threshold(100_000, 20, 20)

    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # what a decoder met is said in a sentence of ours

    from enhance_cli.cli.app import build

    build()(prog_name="enhance")


def run() -> None:
    """Run the command line as a process of its own; the only place that ends it."""
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(143))  # until a run begins, which ends in order
    streams.claim()
    code = streams.ended(main)
    if code in (130, 143):  # stopped by a signal: threads that are still at work are left behind
        from enhance_cli.cli.signals import end

        end(int(code))
    if "numba" in sys.modules and isinstance(code, int):
        # Everything is in place and closed by now. Taking the compiled kernels apart would cost a quarter of the
        # time of one small photo, to give back memory that the process gives back by ending.
        os._exit(code)
    sys.exit(code)  # type: ignore[arg-type]


if __name__ == "__main__":
    run()
