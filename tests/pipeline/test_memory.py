"""Limits of containers, read from a made-up tree of /proc and /sys."""

from __future__ import annotations

from enhance_cli.pipeline.memory import default_budget, usable_memory


def tree(root, cgroup, **limits):
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "self" / "cgroup").write_text(cgroup)
    for name, text in limits.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_max", ".max")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_narrowest_group_on_the_way_up(tmp_path):
    root = tree(tmp_path, "0::/a/b\n", a__b__memory_max="max\n", a__memory_max="800000000\n", memory_max="9999999999\n")
    assert usable_memory(root) == 800_000_000


def test_a_container_that_sees_the_host_path(tmp_path):
    assert usable_memory(tree(tmp_path, "0::/host/only\n", memory_max="500000000")) == 500_000_000


def test_the_old_interface(tmp_path):
    root = tree(tmp_path, "4:cpu:/x\n7:memory:/docker/1\n")
    limit = root / "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes"
    limit.parent.mkdir(parents=True)
    limit.write_text("300000000\n")
    assert usable_memory(root) == 300_000_000


def test_no_limits_known(tmp_path):
    assert usable_memory(tmp_path) >= 10**9
    assert 0 < default_budget() <= 2 * 10**9
    assert default_budget() <= usable_memory() // 2
