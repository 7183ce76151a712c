"""`enhance`, and `python -m enhance_cli`."""

from __future__ import annotations

import gc
import os
import signal
import sys

from enhance_cli.cli import streams


def main() -> None:
    """Run the command line; always raises SystemExit."""
    # Start-up creates half a million objects that live as long as the process; scanning them for cycles at the
    # default frequency took a tenth of it. The garbage of a photo is small and is still collected.
    gc.set_threshold(100_000, 20, 20)

    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # our own messages report decoder errors
    # NumPy's BLAS only multiplies small matrices here; its threads would wait for work in busy loops, which took a
    # third of the CPU time of a decision.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    from enhance_cli.cli.app import build

    build()(prog_name="enhance")


def run() -> None:
    """Entry point of the process, and the only place that ends it."""
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(143))  # until a run installs its own orderly handler
    streams.claim()
    code = streams.ended(main)
    if code in (130, 143):  # stopped by a signal: do not wait for busy threads
        from enhance_cli.cli.signals import end

        end(int(code))
    if "numba" in sys.modules and isinstance(code, int):
        # Everything is written and closed by now. Freeing the compiled kernels would take a quarter of the time of
        # one small photo, and the memory is released anyway when the process ends.
        os._exit(code)
    sys.exit(code)  # type: ignore[arg-type]


if __name__ == "__main__":
    run()
