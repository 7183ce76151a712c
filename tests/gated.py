"""`enhance`, with all photos but the first few held until a file appears: `python gated.py FEW GATE ARGUMENTS...`.

With it a test that needs a run under way has one for as long as it likes, on a machine of any speed. A photo is held
where it asks for memory. Workers of a stopped run are waited for, however long they take.
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

from enhance_cli.__main__ import run
from enhance_cli.engines import abandon
from enhance_cli.pipeline import stream


def hold(few: int, gate: Path) -> None:
    """Let a few photos of this process have memory at once, and the others when the gate exists."""
    admit, turns, turn_of = stream.Admission.__call__, itertools.count(), {}

    def gated(self: stream.Admission, size: int) -> None:
        if self not in turn_of:
            turn_of[self] = next(turns)
        while turn_of[self] >= few and not gate.exists():
            abandon.check()
            time.sleep(0.01)
        admit(self, size)

    stream.Admission.__call__ = gated
    stream.PATIENCE = 240.0


if __name__ == "__main__":
    few, gate = sys.argv[1:3]
    del sys.argv[1:3]
    hold(int(few), Path(gate))
    run()
