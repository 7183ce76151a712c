"""Two nodes of Ray on loopback, for all tests of a module."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import tempfile
import warnings
from pathlib import Path

import pytest

from tests.commands import descendants

ROOT = Path(__file__).parents[3]


class Nodes:
    """The second node may be killed, and another one started."""

    def __init__(self, folder: str):
        from ray.cluster_utils import Cluster

        common = {"num_cpus": 1, "object_store_memory": 80 << 20, "node_ip_address": "127.0.0.1"}
        self._common = common
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        head = {**common, "include_dashboard": False, "ray_client_server_port": port}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # Ray leaves the log of its client server open
            self._cluster = Cluster(initialize_head=True, head_node_args=head)
            gc.collect()
        self.address = self._cluster.address
        self.client = f"ray://127.0.0.1:{port}"
        self.second = self._cluster.add_node(**common)

    def kill_second(self) -> None:
        """As if its machine had lost its power."""
        self._cluster.remove_node(self.second, allow_graceful=False)

    def start_second(self) -> None:
        self.second = self._cluster.add_node(**self._common)

    def stop(self) -> None:
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def nodes():
    pytest.importorskip("ray", reason="Ray is not installed (extra `cluster`)")
    folder = tempfile.mkdtemp(prefix="er-", dir="/tmp")  # sockets' paths must be short
    Path(folder, "ray").mkdir()
    kept = dict(os.environ)
    # Workers inherit the environment of their node. They must find this program and `tests`, and they start elsewhere.
    os.environ |= {"RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
    # Else they come after whatever else the machine does, and take 20 times as long.
    os.environ.update(RAY_worker_niceness="0")
    # The head forks a process for each `ray://` client. gRPC's handlers for forks may kill it at once, and the client
    # would wait for nothing.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = (
        "0"  # else Ray takes another address of this machine for 127.0.0.1
    )
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [kept.get("PYTHONPATH")])])
    started = None
    try:
        started = Nodes(folder)
        os.environ["RAY_ADDRESS"] = started.address
        yield started
    finally:
        if started is not None:
            started.stop()
        os.environ.clear()
        os.environ.update(kept)
        shutil.rmtree(folder, ignore_errors=True)


def workers_of(process: int) -> set[int]:
    """The workers of the nodes that a process has started; those of other clusters on the machine are not ours."""
    found = set()
    for child in descendants(process):
        try:
            if b"ray::Worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.add(child)
        except OSError:
            continue
    return found
