"""`enhance` on a cluster whose workers are slow and die of some photos: `python harmed.py SECONDS ARGUMENTS...`.

A worker sleeps before each photo, and is killed by one whose name has `poison` in it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass

from enhance_cli.pipeline.cluster import start
from enhance_cli.pipeline.cluster.worker import Task


@dataclass(frozen=True)
class Harmed(Task):
    """Opens what `Task` does, with a faulty decoder."""

    seconds: float = 0.0

    def open(self, stack):
        dealer, do, end = super().open(stack)

        def harmed(job, recipe, **details):
            time.sleep(self.seconds)
            if "poison" in job.source.name:
                os.kill(os.getpid(), signal.SIGKILL)
            yield from do(job, recipe, **details)

        return dealer, harmed, end


def main() -> None:
    seconds = float(sys.argv.pop(1))
    start.Task = lambda *values, **details: Harmed(*values, **details, seconds=seconds)
    from enhance_cli.__main__ import run

    run()
