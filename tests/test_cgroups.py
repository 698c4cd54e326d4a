"""Limits of Linux's control groups, from trees of files that look like a system's, and from groups of this machine."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from programs_data import SANITIZED

from mdkern import _core

pytestmark = [
    pytest.mark.quick,
    pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's"),
]

V2 = "31 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"
HYBRID = """\
31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755
32 31 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
33 31 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
34 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw shared:3 master:4 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
"""
GIB = 1 << 30


@pytest.fixture
def system(tmp_path: Path) -> Callable[..., str]:
    """A folder with these groups of the process, mounts, and files of groups (``folder/cpu.max="..."``)."""

    def write(cgroup: str, mountinfo: str, **files: str) -> str:
        for name, text in {"proc/self/cgroup": cgroup, "proc/self/mountinfo": mountinfo, **files}.items():  # fmt: skip
            path = tmp_path / (name if name.startswith("proc/") else f"sys/fs/cgroup/{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return str(tmp_path)

    return write


@pytest.mark.parametrize(
    ("own", "middle", "top", "expected"),
    [
        ("100000 100000", "max 100000", None, (1.0, "a/b")),
        ("max 100000", "150000 100000", "400000 100000", (1.5, "a")),
        ("300000 100000", "5000 20000", "200000 100000", (0.25, "a")),
        ("300000 100000", "max 100000", "200000 100000", (2.0, "")),
        ("max 100000", "max 100000", "max 100000", None),
        (None, None, None, None),
    ],
)
def test_version_2_takes_the_least_quota_on_the_way_up(
    system: Callable[..., str],
    own: str | None,
    middle: str | None,
    top: str | None,
    expected: tuple[float, str] | None,
) -> None:
    files = {"a/b/cpu.max": own, "a/cpu.max": middle, "cpu.max": top, "a/other/cpu.max": "1 100000"}
    root = system("0::/a/b\n", V2, **{k: v for k, v in files.items() if v is not None})
    found = _core.cgroup_cpus(root)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found[0] == expected[0]
        assert Path(found[1]) == Path(root) / "sys/fs/cgroup" / expected[1]


def test_version_2_takes_the_group_that_leaves_least_memory(system: Callable[..., str]) -> None:
    """Not the one of the least limit; what files take can be dropped."""
    files = {
        "job/step/memory.max": f"{4 * GIB}\n",
        "job/step/memory.current": f"{GIB}\n",
        "job/memory.max": f"{8 * GIB}\n",
        "job/memory.current": f"{7 * GIB}\n",
        "job/memory.stat": f"anon {GIB}\nfile {GIB}\ninactive_file {GIB // 4}\nactive_file {GIB // 4}\n",
        "memory.max": "max\n",
    }
    root = system("0::/job/step\n", V2, **files)
    found = _core.cgroup_memory(root)
    assert found == (8 * GIB, 6.5 * GIB, f"{root}/sys/fs/cgroup/job")
    root = system("0::/job/step\n", V2, **{"job/memory.stat": f"inactive_file {5 * GIB}\n"})
    assert _core.cgroup_memory(root) == (4 * GIB, GIB, f"{root}/sys/fs/cgroup/job/step")


def test_version_1_below_the_mounted_controllers(system: Callable[..., str]) -> None:
    cgroup = "9:cpuset:/\n5:memory:/slurm/uid_1/job_7\n4:cpu,cpuacct:/slurm/uid_1/job_7/step_0\n1:name=systemd:/x\n"
    files = {
        "cpu,cpuacct/slurm/uid_1/job_7/step_0/cpu.cfs_quota_us": "-1\n",
        "cpu,cpuacct/slurm/uid_1/job_7/step_0/cpu.cfs_period_us": "100000\n",
        "cpu,cpuacct/slurm/uid_1/job_7/cpu.cfs_quota_us": "250000\n",
        "cpu,cpuacct/slurm/uid_1/job_7/cpu.cfs_period_us": "100000\n",
        "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
        "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "memory/slurm/uid_1/job_7/memory.limit_in_bytes": f"{2 * GIB}\n",
        "memory/slurm/uid_1/job_7/memory.usage_in_bytes": f"{GIB}\n",
        # Names without "total" leave out the groups inside.
        "memory/slurm/uid_1/job_7/memory.stat": f"inactive_file {GIB}\ntotal_active_file 4096\ntotal_inactive_file 0\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
        "memory/memory.usage_in_bytes": f"{9 * GIB}\n",
    }
    root = system(cgroup, HYBRID, **files)
    job = f"{root}/sys/fs/cgroup/%s/slurm/uid_1/job_7"
    assert _core.cgroup_cpus(root) == (2.5, job % "cpu,cpuacct")
    assert _core.cgroup_memory(root) == (2 * GIB, GIB - 4096, job % "memory")
    files["memory/slurm/uid_1/job_7/memory.limit_in_bytes"] = "9223372036854771712\n"
    assert _core.cgroup_memory(system(cgroup, HYBRID, **files)) is None


def test_a_hybrid_takes_the_tightest_of_both_versions(system: Callable[..., str]) -> None:
    files = {
        "unified/user/cpu.max": "300000 100000\n",
        "cpu,cpuacct/user/cpu.cfs_quota_us": "200000\n",
        "cpu,cpuacct/user/cpu.cfs_period_us": "100000\n",
        "memory/memory.limit_in_bytes": f"{GIB}\n",
        "memory/memory.usage_in_bytes": "0\n",
    }
    cgroup = "5:memory:/user\n4:cpu,cpuacct:/user\n0::/user\n"
    root = system(cgroup, HYBRID, **files)
    assert _core.cgroup_cpus(root) == (2.0, f"{root}/sys/fs/cgroup/cpu,cpuacct/user")
    assert _core.cgroup_memory(root) == (GIB, 0.0, f"{root}/sys/fs/cgroup/memory")
    root = system(cgroup, HYBRID, **{"unified/user/cpu.max": "100000 100000\n"})
    assert _core.cgroup_cpus(root) == (1.0, f"{root}/sys/fs/cgroup/unified/user")


@pytest.mark.parametrize(
    ("path", "mounted", "folders"),
    [
        ("/", "/", [""]),
        ("/a/b", "/", ["a/b", "a", ""]),
        # A container with the groups of the host: what is mounted is its own group.
        ("/docker/abc", "/docker/abc", [""]),
        ("/docker/abc/job", "/docker/abc", ["job", ""]),
        # The mount is the host's, the path is told from the container: the group is below, nobody says where.
        ("/", "/../..", [""]),
        ("/a", "/../..", [""]),
        ("/../b", "/../..", [""]),
        # The process was moved out of its container, and what is mounted begins there.
        ("/..", "/..", [""]),
        ("/../a/b", "/..", ["a/b", "a", ""]),
        ("/../docker/abc/job", "/../docker/abc", ["job", ""]),
        # Mounted is a group that the process is not in, whose limits are others'.
        ("/docker/abcd", "/docker/abc", []),
        ("/user", "/docker/abc", []),
        ("/", "/docker/abc", []),
        ("/", "/../docker", []),
        ("/a", "/..a", []),
        ("/../..", "/..", []),
        ("/../b", "/", []),
        ("/..", "/", []),
        ("/a:b/..c", "/", ["a:b/..c", "a:b", ""]),
        ("a", "/", []),
        ("", "/", []),
    ],
)
def test_where_groups_are_mounted(
    system: Callable[..., str], path: str, mounted: str, folders: list[str]
) -> None:
    everywhere = ["", "a", "a/b", "b", "a:b", "a:b/..c", "job", "docker/abc", "docker/abcd"]
    mountinfo = f"31 23 0:26 {mounted} /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
    for folder in everywhere:
        files = {f"{x}/cpu.max".lstrip("/"): "900000 100000" for x in everywhere}
        files[f"{folder}/cpu.max".lstrip("/")] = "100000 100000"
        found = _core.cgroup_cpus(system(f"0::{path}\n", mountinfo, **files))
        if not folders:
            assert found is None
        else:
            assert found is not None
            assert found[0] == (1.0 if folder in folders else 9.0)


def test_a_mount_whose_source_has_no_name(system: Callable[..., str]) -> None:
    """Two blanks follow each other where mount(2) was given an empty one."""
    lines = [
        V2.replace("- cgroup2 cgroup2", "- cgroup2 "),
        HYBRID.replace("cgroup cgroup", "cgroup "),
    ]
    files = {"memory/memory.limit_in_bytes": "4096\n", "cpu.max": "100000 100000"}
    root = system("5:memory:/\n0::/\n", "\n".join(lines), **files)
    assert _core.cgroup_cpus(root) == (1.0, f"{root}/sys/fs/cgroup")
    assert _core.cgroup_memory(root) == (4096, 0.0, f"{root}/sys/fs/cgroup/memory")


def test_a_mount_at_another_place(tmp_path: Path, system: Callable[..., str]) -> None:
    """Its name may have blanks; of several mounts of a hierarchy those count that show the group."""
    lines = [
        r"31 23 0:26 / /my\040groups rw - cgroup2 none rw",
        "32 23 0:26 /other /elsewhere rw - cgroup2 none rw",
    ]
    root = system("0::/a\n", "\n".join(lines))
    for name, text in {"my groups/a": "300000 100000", "elsewhere": "100000 100000"}.items():
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "cpu.max").write_text(text)
    assert _core.cgroup_cpus(root) == (3.0, f"{root}/my groups/a")


@pytest.mark.parametrize(
    "text",
    ["", "\n", "100000", "0 100000", "100000 0", "-5 100000", "1e5 100000", "nan 100000", "inf 100000", "100000 max",
     "100000 100000x", "\0\0", "quota period", "max", f"100000 {'9' * 400}", f"{'9' * 400} {'9' * 400}"],
)  # fmt: skip
def test_damaged_quotas_limit_nothing(system: Callable[..., str], text: str) -> None:
    root = system("0::/a\n", V2, **{"a/cpu.max": text, "cpu.max": "200000 100000"})
    assert _core.cgroup_cpus(root) == (2.0, f"{root}/sys/fs/cgroup")


@pytest.mark.parametrize(
    "text", ["", "max", "-1", "4 GB", "0x10", "nan", "99999999999999999999999", "9" * 400]
)
def test_damaged_limits_of_memory(system: Callable[..., str], text: str) -> None:
    files = {"a/memory.max": text, "memory.max": "4096", "memory.current": text}
    found = _core.cgroup_memory(system("0::/a\n", V2, **files))
    assert found is not None
    assert math.isfinite(found[1])
    if text == "4 GB":  # the first word of a file is its number
        assert found == (4.0, 0.0, found[2])
    else:
        assert found[0] == 4096


@pytest.mark.parametrize(
    ("cgroup", "mountinfo"),
    [
        ("", V2),
        ("0::/a\n", ""),
        ("no colons\n0\n:\n::\n", V2),
        ("0::/a\n", "31 23\n\n- cgroup2\n31 23 0:26 / /sys/fs/cgroup rw shared:9"),
        ("0::/a\n", V2.replace("cgroup2", "tmpfs")),
        ("4:cpuset:/a\n", HYBRID),
        ("4:cpu:/a\n", V2),
    ],
)
def test_without_groups_there_is_no_limit(
    system: Callable[..., str], cgroup: str, mountinfo: str
) -> None:
    files = {"cpu.max": "100000 100000", "a/cpu.max": "100000 100000", "memory.max": "4096"}
    root = system(cgroup, mountinfo, **files)
    assert _core.cgroup_cpus(root) is None
    assert _core.cgroup_memory(root) is None


def test_files_that_are_missing(tmp_path: Path) -> None:
    assert _core.cgroup_cpus(str(tmp_path)) is None
    assert _core.cgroup_memory(str(tmp_path)) is None


def _places(controller: str) -> list[Path]:
    """Where this machine has that controller mounted, by its versions."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        head, _, tail = line.partition(" - ")
        kind, _, options = tail.split(" ", 2)
        folder = Path(head.split()[4])
        if kind == "cgroup" and controller in options.split(","):
            found.append(folder)
        elif kind == "cgroup2":
            with suppress(OSError):
                if controller in (folder / "cgroup.subtree_control").read_text().split():
                    found.append(folder)
    return found


@contextmanager
def _group(controller: str, limits: dict[str, str]) -> Iterator[Path]:
    """A group in a group of this machine, the outer one with these limits (files that are there)."""
    for place in _places(controller):
        outer = place / f"mdkern-test-{os.getpid()}"
        made: list[Path] = []
        try:
            for folder in (outer, outer / "inner"):
                folder.mkdir()
                made.append(folder)
            wrote = [(outer / k).write_text(v) for k, v in limits.items() if (outer / k).exists()]
        except OSError:
            wrote = []
        try:
            if wrote:
                yield made[-1]
                return
        finally:
            for folder in reversed(made):
                folder.rmdir()
    pytest.skip(f"no group with a limit of {controller} can be made here")


def _inside(group: Path, code: str) -> str:
    enter = f"open({str(group / 'cgroup.procs')!r}, 'w').write('0')\nfrom mdkern import _core\n"
    run = subprocess.run(
        [sys.executable, "-c", enter + code], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.skipif(
    sys.platform == "linux" and len(os.sched_getaffinity(0)) < 2, reason="one CPU cannot be less"
)
def test_a_quota_of_this_machine() -> None:
    limits = {"cpu.max": "70000 100000", "cpu.cfs_quota_us": "70000"}
    with _group("cpu", limits) as group:
        said = _inside(
            group,
            "print(_core.available_cpus(), _core.get_num_threads(), _core.cgroup_cpus())",
        )
    assert said.split(None, 2) == ["1", "1", f"(0.7, '{group.parent}')\n"]


@pytest.mark.skipif(SANITIZED, reason="the sanitizers take more memory than the group allows")
def test_a_limit_of_memory_of_this_machine(tmp_path: Path) -> None:
    """256 MB: what the process takes counts, files that it has read do not."""
    big = tmp_path / "big"
    big.write_bytes(bytes(64 << 20))
    limits = {"memory.max": str(256 << 20), "memory.limit_in_bytes": str(256 << 20)}
    code = f"""
a = _core.available_memory()
with open({str(big)!r}, "rb") as f:
    os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    while f.read(1 << 20):
        pass
b = _core.available_memory()
mine = bytearray(b"x") * (100 << 20)
print(a, b, _core.available_memory(), _core.cgroup_memory()[2])
"""
    with _group("memory", limits) as group:
        a, b, c, folder = _inside(group, "import os\n" + code).split()
    assert folder == str(group.parent)
    mb = float(1 << 20)
    assert 100 * mb <= float(a) <= 256 * mb
    assert abs(float(b) - float(a)) <= 24 * mb
    assert float(b) - float(c) == pytest.approx(100 * mb, abs=24 * mb)
