"""What differs between operating systems, with the parts of others played by stand-ins; and the builds for them."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest

import mdkern
from mdkern.cli import scheduler
from mdkern.errors import InUseError
from mdkern.journal import Journal, digest
from mdkern.tuning import store

pytestmark = pytest.mark.quick
ROOT = Path(__file__).parent.parent


class Msvcrt(types.ModuleType):
    """Locks bytes of files as Microsoft's C library does: at the place of the file, for whom has none there."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        super().__init__("msvcrt")
        self.taken: set[tuple[int, int]] = set()
        self.fails = 0

    def locking(self, handle: int, mode: int, n: int) -> None:
        assert (mode, n) == (self.LK_NBLCK, 1)
        if self.fails:
            raise OSError(self.fails, os.strerror(self.fails))
        place = (os.fstat(handle).st_ino, os.lseek(handle, 0, os.SEEK_CUR))
        if place in self.taken:
            raise PermissionError(errno.EACCES, "Permission denied")
        self.taken.add(place)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Msvcrt:
    library = Msvcrt()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", library)
    monkeypatch.setitem(sys.modules, "fcntl", None)  # its import fails
    return library


def test_a_journal_is_locked_on_windows_too(windows: Msvcrt, tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    key = digest([[1.0]])
    first = Journal(path, "job")
    first.add([key], [{"energy": -1.0}])
    ((_, place),) = windows.taken
    assert path.stat().st_size < place, "nobody could read a locked byte"
    with pytest.raises(InUseError, match=r"run\.journal: another run writes to this journal"):
        Journal(path, "job")
    first.close()
    windows.taken.clear()
    again = Journal(path, "job")
    assert len(again) == 1
    again.close()


def test_a_file_system_without_locks(windows: Msvcrt, tmp_path: Path) -> None:
    windows.fails = errno.EINVAL
    Journal(tmp_path / "run.journal", "job").close()


def test_interrupts_where_signals_cannot_be_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "pthread_sigmask")
    with scheduler._interrupts_wait():
        before = signal.getsignal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_choices_of_a_user_without_a_home_or_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MDKERN_TUNE_FILE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delattr(os, "getuid")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert store.path().parts[-3:] == ("mdkern-user", "mdkern", "tuning.json")


@pytest.mark.parametrize(
    ("platform", "name"),
    [("linux", "libmdkern.so"), ("darwin", "libmdkern.dylib"), ("win32", "libmdkern.dll")],
)
def test_name_of_the_library(monkeypatch: pytest.MonkeyPatch, platform: str, name: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert Path(mdkern.get_library()).name == name


def test_the_package_imports_where_modules_of_unix_are_missing() -> None:
    """All its modules, without those of the standard library that Windows has not. What dependencies import is theirs."""
    program = """
import importlib, pkgutil, sys, traceback
from pathlib import Path
missing = {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog"}
sys.modules |= dict.fromkeys(missing)
import mdkern
ours = Path(mdkern.__file__).parent
tried = 0
for module in pkgutil.walk_packages(mdkern.__path__, "mdkern."):
    if module.name.endswith(("__main__", "libmdkern")):
        continue
    tried += 1
    try:
        importlib.import_module(module.name)
    except ImportError as e:
        by = traceback.extract_tb(e.__traceback__)[-1].filename
        assert e.name not in missing or not Path(by).is_relative_to(ours), (module.name, e.name)
assert tried > 200, tried
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="no /proc/cpuinfo")
def test_the_instruction_sets_are_those_that_the_system_reports() -> None:
    """Linux lists a feature where the CPU has it and the kernel saves its registers; the core asks the CPU itself."""
    if os.uname().machine != "x86_64":
        pytest.skip("no x86-64")
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    flags = set(text.partition("\nflags")[2].partition(":")[2].partition("\n")[0].split())
    needs: dict[str, set[str]] = {
        "scalar": set(),
        "avx2": {"avx", "avx2", "fma", "bmi1", "bmi2", "popcnt"},
        "avx512": {"avx2", "avx512f", "avx512dq", "avx512vl", "avx512bw"},
    }
    info = mdkern.info()
    assert info["isas_supported"] == [isa for isa in info["isas_compiled"] if needs[isa] <= flags]


def test_no_source_asks_the_compilers_runtime_for_the_cpu() -> None:
    """That of Zig answers no to all: kernels of a library that it built were scalar."""
    for path in (ROOT / "cpp").rglob("*.[ch]pp"):
        for line in path.read_text(encoding="utf-8").splitlines():
            code = line.partition("//")[0]
            assert "__builtin_cpu" not in code, path


# --- the core: what one system alone has stands behind a question for the system -----------------

SYSTEMS = re.compile(r"__linux__|__unix__|__APPLE__|_WIN32|MADV_")
OWN = re.compile(
    r"#include <(sys/|linux/|mach/|unistd|sched|pthread|dlfcn|fcntl|windows|malloc)"
    r"|\b(madvise|mmap|sysconf|sysctlbyname|getpid|gettid|fork|posix_memalign|aligned_alloc|_aligned_malloc|_wfopen"
    r"|(sched|pthread|host)_\w+|CPU_(COUNT|SET|ISSET|ZERO)|clock_gettime|GlobalMemoryStatusEx)\("
    r'|"/(proc|sys)/'
)


def unasked(text: str) -> list[str]:
    """The lines with what a system of its own has, outside of every `#if` that names a system."""
    found, asked = [], [False]
    for line in re.sub(r"//.*", "", text).splitlines():
        directive = re.match(r"\s*#\s*(if|elif|else|endif)", line)
        if directive is None:
            if OWN.search(line) and not any(asked):
                found.append(line.strip())
        elif directive[1] == "if":
            asked.append(bool(SYSTEMS.search(line)))
        elif directive[1] == "elif":
            asked[-1] |= bool(SYSTEMS.search(line))
        elif directive[1] == "endif":
            asked.pop()
    assert asked == [False]
    return found


def test_what_one_system_has_is_asked_for() -> None:
    """A build for Linux alone would not notice; each of these lines failed somewhere or would."""
    for sample in ("#include <unistd.h>", "n = sysconf(_SC_PAGESIZE);", 'f("/proc/meminfo");'):
        assert unasked(f"#if defined(_OPENMP)\n{sample}\n#endif\n") == [sample]
        assert not unasked(f"#if defined(_WIN32)\n#else\n{sample}\n#endif\n")
    seen = 0
    for path in sorted((ROOT / "cpp").rglob("*.[ch]*")):
        if (
            path.suffix in (".cpp", ".hpp", ".h")
            and "tests" not in path.relative_to(ROOT).parts[:2]
        ):
            text = path.read_text(encoding="utf-8")
            seen += len(OWN.findall(text))
            assert not unasked(text), path
    assert seen > 20, "the pattern finds nothing any more"


def test_systems_that_are_built_for_in_turn() -> None:
    """By .ci/run: every system that the toolchain file knows, and for each every instruction set that CMake takes by default."""
    script = ROOT / ".ci" / "run"
    if not script.is_file():
        pytest.skip("no .ci beside the tests")
    (row,) = re.findall(r"^builds=\((.+)\)$", script.read_text("utf-8"), re.MULTILINE)
    builds = [build.split(":") for build in row.split()]
    toolchain = (ROOT / "cmake" / "zig.cmake").read_text("utf-8")
    (known,) = re.findall(r"^# MDKERN_ZIG_TARGET: (.+?)\.", toolchain, re.MULTILINE)
    assert {system for system, _ in builds} == set(re.split(", | or ", known))
    lists = (ROOT / "CMakeLists.txt").read_text("utf-8")
    defaults = [d.split() for d in re.findall(r"set\(default_isas (scalar .+)\)", lists)]
    wide = {system: {isa for s, isas in builds if s == system for isa in isas.split(",")} for system, _ in builds}  # fmt: skip
    for system, isas in wide.items():
        (expected,) = (d for d in defaults if ("neon" in d) == system.startswith("aarch64"))
        assert isas == set(expected), system
