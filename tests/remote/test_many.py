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
peak = peak_now()
print(json.dumps({"jobs": jobs, "base": base, "peak": peak, "seconds": time.monotonic() - start}))
"""


def scanned(count: int) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", SCAN, str(count)], capture_output=True, text=True, check=False)
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
