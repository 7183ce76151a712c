"""A million names in a bucket: the memory of the scan does not depend on them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCAN = """
import json, sys, time
from pathlib import Path
from enhance_cli.pipeline.objects import on_a_mirror
from enhance_cli.pipeline.scan import scan
from enhance_cli.pipeline.settle import Rules, settle
from enhance_cli.pipeline.journal import Journal
from enhance_cli.storage import Item

def peak_now():
    # MB at most so far, of this process alone: getrusage would count that of the parent too.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024

class Many:
    def __init__(self, count):
        self.count = count
    def list(self, prefix):
        if prefix == "in":
            for number in range(self.count):
                key = f"in/{number % 1000:03d}/IMG_{number:07d} of a name of common length.jpg"
                yield Item(key, 4_000_000 + number, 1_700_000_000_000_000_000 + number, f'"{number:032x}"')
    def head(self, key):
        return None
    def put(self, key, data, condition):
        return ""

count = int(sys.argv[1])
base = peak_now()
start = time.monotonic()
with on_a_mirror(lambda location: Many(count)) as objects:
    places = [*objects.inputs(["s3://photos/in"]), objects.output("s3://photos/out")]
    found = scan(places, recursive=True, elsewhere=objects.find)
    objects.look_at_outputs(found.folder, found.single_file, found.jobs)
    rules = Rules(settings="", sources=lambda job: job.sources, states=objects.states)
    settled = settle(found.jobs, Journal(states=objects.states), rules)
    jobs, last = len(settled.jobs), None
    for job in settled.jobs:
        last = job
    assert last.standing[0].etag, last
DEALT
peak = peak_now()
print(json.dumps({"jobs": jobs, "base": base, "peak": peak, "seconds": time.monotonic() - start}))
"""


# Workers that answer at once: whatever they are given is recorded, and over when its line was appended.
DEALT = """
    import pickle
    import ray  # as a driver has it
    from enhance_cli.pipeline.cluster.driver import Books, Driver
    from enhance_cli.pipeline.parts import PartedReport
    from enhance_cli.pipeline.report import report_line
    from enhance_cli.pipeline.summary import Tally

    class Fleet:
        slots, machines = [1] * 8, 1
        def __init__(self):
            self.done, self.tokens, self.held = [], 0, {}
        def hire(self, place):
            return place
        def dismiss(self, worker):
            pass
        def call(self, worker, method, *arguments):
            if method == "hello":
                answer = {"place": "here", "identity": {}}
            elif method == "open":
                answer = "cpu"
            elif method == "exchange":
                answers, given = pickle.loads(arguments[0])
                answer = []
                for token in answers:
                    job, line = self.held.pop(token)
                    answer.append(("outcome", (job.index, "done", line, 12.0, None)))
                    answer.append(("over", (job.index, 0.05)))
                for job in given:
                    self.tokens += 1
                    line = report_line(
                        source=str(job.source), output=str(job.target), status="done", method="clahe-adaptive",
                        controls={}, device="cpu", size=[4000, 3000],
                        written=[{"path": str(job.target), "bytes": 5, "modified_ns": 5}],
                    )
                    self.held[self.tokens] = job, line
                    answer.append(("record", (self.tokens, job.index, line)))
            self.done.append((worker, method, pickle.dumps(answer)))
        def ready(self, seconds):
            done, self.done = self.done, []
            return done

    report = PartedReport(
        found.folder / "enhance-report.jsonl", objects.mirror, convert=objects.mirror.shown_in
    )
    tally = Tally()
    driver = Driver(Fleet(), {}, (), print)
    driver.meet()
    books = Books(report, tally, lambda job: [job.target], None, objects.states)
    for finished in driver.outcomes(books, settled.jobs, b""):
        pass
    assert tally.done == count, tally
"""


def scanned(count: int, then: str = "") -> dict[str, float]:
    program = SCAN.replace("DEALT\n", then)
    done = subprocess.run([sys.executable, "-c", program, str(count)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_bucket_of_many_names_takes_little_memory() -> None:
    few, many = scanned(1000), scanned(12_000)
    assert (few["jobs"], many["jobs"]) == (1000, 12_000)
    assert many["peak"] - few["peak"] < 40, (few, many)  # MB; a cache of 16 MB, and 8 bytes for each of some hashes


@pytest.mark.slow
def test_a_million_names_take_less_than_300_mb() -> None:
    many = scanned(1_000_000)
    assert many["jobs"] == 1_000_000
    assert many["peak"] < 300, many


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_the_driver_of_a_cluster_deals_out_many_names_in_little_memory() -> None:
    """200,000, because a million take a quarter of an hour; what is added for each of them is what a million would."""
    pytest.importorskip("ray", reason="Ray is not installed (extra `cluster`)")
    few, many = scanned(20_000, DEALT), scanned(200_000, DEALT)
    assert many["jobs"] == 200_000
    each = (many["peak"] - few["peak"]) / 180_000
    assert many["peak"] + 800_000 * each < 300, (few, many)  # MB
