"""`enhance`, and `python -m enhance_cli`."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Run the command line; the only place that ends the process."""
    # A start makes half a million objects that live as long as the process; looking through them for cycles at
    # the usual pace took a tenth of it. What a photograph leaves behind is small and still collected.
    gc.set_threshold(100_000, 20, 20)

    from enhance_cli.cli.app import build

    try:
        build()(prog_name="enhance")
    except BrokenPipeError:
        # Python would complain once more when it flushes stdout at exit; there is nobody left to hear it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


if __name__ == "__main__":
    main()
