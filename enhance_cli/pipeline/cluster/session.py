"""Ray: connects to a cluster or starts one for this run, and creates actors. The only module that imports Ray.

Only Ray Core is used: it starts processes, reports when one dies, and carries calls. No pixels go through its object
store, and its own retries and checkpoints are not used.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from enhance_cli.engines import abandon
from enhance_cli.errors import DeviceError, UsageError
from enhance_cli.pipeline.cluster.worker import Worker

_PREFIX = "enhance-ray-"

_STORE = 80 << 20
"""Bytes of the object store of a cluster that is started here; Ray requires at least 75 MiB."""

_CONNECT = 10.0
"""Seconds in which the head of a cluster must answer."""

_TRIES = 3
"""Times that a head which answers is asked; each time it has half a minute to start a process for this run.

That process may die as it is forked, before it runs: gRPC's handlers for forks are not safe beside other clients."""

_THREADS = 4
"""Calls of a worker that may run at once: one that waits, and some short ones."""


def require() -> None:
    """Check that Ray is installed.

    Raises:
        UsageError: it is not.
    """
    from importlib.util import find_spec

    if find_spec("ray") is None:
        raise UsageError("--cluster needs Ray: install the extra with `pip install 'enhance-cli[cluster]'`.")


@contextmanager
def session(address: str, cores: int) -> Iterator[Any]:
    """The module `ray`, connected to a cluster; a cluster that was started here is shut down and removed at the end.

    Args:
        address: `local`, `auto` or `ray://HOST:PORT`.
        cores: CPUs of a local cluster.

    Raises:
        DeviceError: there is no such cluster.
    """
    require()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # its other warnings concern no worker here
    if address == "local":
        # Before the import. Despite its name, this variable is what keeps a cluster of one machine on 127.0.0.1.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        # Ray's workers have a niceness of 15, so that everything else on the machine goes first; other runs have none.
        os.environ.setdefault("RAY_worker_niceness", "0")
        if "RAY_AUTH_MODE" not in os.environ:
            # Otherwise Ray would write a token to the home folder, which clusters that are started later would require.
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _token()}
    import ray

    if ray.is_initialized():  # by a Python program that calls us: its connection is its own
        yield ray
        return
    with contextlib.ExitStack() as stack:
        details: dict[str, Any] = {}
        if address == "local":
            folder = stack.enter_context(_temporary_folder())
            details = {"num_cpus": cores, "include_dashboard": False, "_temp_dir": folder}
            details["object_store_memory"] = _STORE
        _refuse_silent(address)
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            _connect(ray, address, details)
        except Exception as error:
            if isinstance(error, ConnectionError | RuntimeError | ValueError | OSError | ImportError):
                told = _sentence(error).rstrip(".")
                token = "" if address == "local" else " (if it asks for a token: RAY_AUTH_MODE=token, RAY_AUTH_TOKEN)"
                raise DeviceError(f"--cluster {address} cannot be reached: {told}{token}.") from error
            raise
        finally:
            for number, handler in before.items():  # Ray installs its own, which would end the run without a message
                with contextlib.suppress(ValueError):  # not the main thread: none was installed
                    signal.signal(number, handler)
        stack.callback(ray.shutdown)
        yield ray


def _connect(ray: Any, address: str, details: dict[str, Any]) -> None:
    """Connect, and again where the head answered but its process for this run did not start (`ray://` only)."""
    for left in range(_TRIES - 1, -1, -1):
        try:
            with _quiet():
                ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL, **details)
            return
        except ConnectionAbortedError:
            if not left:
                raise


@cache
def _token() -> str:
    """The token that a cluster of this process requires; Ray remembers the first one that it reads."""
    return secrets.token_hex(32)


def _refuse_silent(address: str) -> None:
    """Refuse a head that does not answer: Ray would try for minutes.

    Raises:
        DeviceError: nothing does.
    """
    asked = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
    host, colon, port = asked.removeprefix("ray://").rstrip("/").rpartition(":")
    if not colon or not port.isdecimal():
        return  # Ray finds the head itself, or says why not
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT).close()
    except (OSError, OverflowError) as error:
        whose = " (RAY_ADDRESS)" if address == "auto" else ""
        why = getattr(error, "strerror", None) or error
        raise DeviceError(
            f"--cluster {address}: nothing answers at {asked}{whose}: {why}. Start a node there, or correct it."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide what Ray's threads write to stderr while it connects: everything relevant is also an exception."""
    try:
        kept = os.dup(2)
    except OSError:  # closed
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class RayFleet:
    """Actors of a connected Ray. See `driver.Fleet`."""

    def __init__(self, ray: Any, device: str, most: int) -> None:
        """Plan the workers: one for each GPU if there are any and they may be used, otherwise one for each CPU core.

        Args:
            ray: the connected module.
            device: `--device`.
            most: photos at once, of all workers together.

        Raises:
            DeviceError: the cluster has nothing of the kind.
        """
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = 0 if device == "cpu" else sum(int(node.get("GPU", 0)) for node in nodes)
        if device.startswith("cuda") and not gpus:
            raise DeviceError(f"--device {device}: no machine of the cluster has a GPU; leave it out, or give cpu.")
        wanted: list[tuple[int, int]] = []  # GPUs and photos at once of each worker
        for node in nodes:
            cpus, own = int(node.get("CPU", 0)), int(node.get("GPU", 0))
            if gpus:
                wanted += [(1, max(1, cpus // own))] * own
            else:
                wanted += [(0, 1)] * cpus
        self._wanted: list[tuple[int, int]] = []
        for gpu, slots in wanted:
            if most > 0:
                self._wanted.append((gpu, min(slots, most)))
                most -= slots
        if not self._wanted:
            raise DeviceError("The cluster offers no CPU cores; start a node that does.")
        self.slots = [slots for _, slots in self._wanted]
        self.machines = len(nodes)
        self._ray = ray
        self._actors: list[Any] = []
        self._calls: dict[Any, tuple[int, str]] = {}
        # Ray is called in a separate thread: Ctrl-C raises in this one, and would leave a call to Ray half done.
        self._apart = ThreadPoolExecutor(1, "enhance-ray")
        self._looking: Future[list[tuple[int, str, bytes | Exception]]] | None = None

    def hire(self, place: int) -> int:
        """See `driver.Fleet`."""
        gpus, slots = self._wanted[place]
        needs = {"num_gpus": gpus, "num_cpus": slots}
        # A dead worker is replaced by the driver, which knows what it had; Ray's own restarts would know less.
        details = {"max_concurrency": _THREADS, "max_restarts": 0, "max_task_retries": 0}
        actor = self._ray.remote(Worker).options(scheduling_strategy="SPREAD", **needs, **details)
        self._actors.append(self._apart.submit(actor.remote).result())
        return len(self._actors) - 1

    def call(self, worker: int, method: str, *arguments: Any) -> None:
        """See `driver.Fleet`."""
        self._apart.submit(self._call, worker, method, arguments).result()

    def _call(self, worker: int, method: str, arguments: tuple[Any, ...]) -> None:
        self._calls[getattr(self._actors[worker], method).remote(*arguments)] = (worker, method)

    def ready(self, seconds: float) -> list[tuple[int, str, bytes | Exception]]:
        """See `driver.Fleet`."""
        if self._looking is None:
            self._looking = self._apart.submit(self._look, seconds)
        try:
            found = self._looking.result()
        except Exception:
            self._looking = None
            raise
        self._looking = None  # after an interrupt the next call returns what this one would have
        return found

    def _look(self, seconds: float) -> list[tuple[int, str, bytes | Exception]]:
        waiting = list(self._calls)
        if not waiting:
            time.sleep(seconds)
            return []
        done, _ = self._ray.wait(waiting, num_returns=1, timeout=seconds)
        if done and len(waiting) > 1:
            done, _ = self._ray.wait(waiting, num_returns=len(waiting), timeout=0)
        replies: list[bytes | Exception]
        try:
            replies = self._ray.get(done)  # all at once: a call to Ray costs more than the result it brings
        except self._ray.exceptions.RayError:
            replies = [self._reply(call) for call in done]  # some worker died: one by one, to find out which
        return [(*self._calls.pop(call), reply) for call, reply in zip(done, replies, strict=True)]

    def _reply(self, call: Any) -> bytes | Exception:
        try:
            reply: bytes = self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            died: Exception = error
            return died
        return reply

    def dismiss(self, worker: int) -> None:
        """See `driver.Fleet`."""
        with contextlib.suppress(TimeoutError):  # a head that is gone does not answer
            self._apart.submit(self._dismiss, worker).result(_CONNECT)

    def _dismiss(self, worker: int) -> None:
        self._calls = {call: about for call, about in self._calls.items() if about[0] != worker}
        actor, self._actors[worker] = self._actors[worker], None
        if actor is not None:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.kill(actor)


@contextmanager
def _temporary_folder() -> Iterator[str]:
    """A folder for Ray's sockets and logs, locked while in use; folders of killed processes are removed.

    Its path is short: the path of a socket has at most 107 bytes, of which Ray needs 70.
    """
    base = tempfile.gettempdir()
    base = base if len(base) < 20 else "/tmp"
    for stale in Path(base).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), (stale / "lock").open("rb") as old:
            fcntl.flock(old, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(stale, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))

    def remove() -> None:
        shutil.rmtree(folder, ignore_errors=True)

    with (folder / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with abandon.at_the_end(remove):
                yield str(folder)
        finally:
            remove()


def _sentence(error: Exception) -> str:
    """The most informative line of an error: the first, or the last of a traceback from another process."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1] if any(line.startswith("Traceback") for line in lines) else lines[0]
