"""Check a wheel: size, symbols of the system's libraries, and that it works where nothing can be compiled.

    python -m build -o build/dist && python tools/check_wheel.py build/dist/mdkern-*.whl

The wheel is installed into a fresh environment of this Python, with PATH empty of compilers and from wheels alone; there
``mdkern demo --quick`` and the first examples of docs/quickstart.md run. On Linux, symbols of libc and libm that are newer than the
glibc of manylinux_2_28 are listed: those that this system also has in an older version come from where the wheel was
built, and a build on the older system asks for the older one. Any other one is an error. Needs objdump and ldd there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (2, 28)
# Headers of libstdc++ ask for it where glibc has it, and do without where it has not.
OPTIONAL = {"__libc_single_threaded"}
LARGEST = 6.0  # MB; docs/releasing.md says what takes it
SYMBOL = re.compile(r"\(?GLIBC_(\d+)\.(\d+)[\d.]*\)? +(\w+)$", re.MULTILINE)


def output(*command: str | Path) -> str:
    run = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True)
    return run.stdout


def symbols(library: Path, undefined: bool) -> set[tuple[tuple[int, int], str]]:
    """Versions of glibc and names that a library asks for, or defines."""
    lines = output("objdump", "-T", library).splitlines()
    text = "\n".join(line for line in lines if ("*UND*" in line) is undefined)
    return {((int(major), int(minor)), name) for major, minor, name in SYMBOL.findall(text)}


def check_glibc(library: Path) -> None:
    """Raise SystemExit if the library needs a function that glibc 2.28 does not have."""
    paths = re.findall(r"=> (\S*/lib[cm]\.so\.6)", output("ldd", library))
    has = set().union(*(symbols(Path(path), undefined=False) for path in paths))
    older = {name for version, name in has if version <= OLDEST}
    newer = sorted(s for s in symbols(library, undefined=True) if s[0] > OLDEST)
    for (major, minor), name in newer:
        print(f"{library.name}: {name} of glibc {major}.{minor}")
    missing = [name for _, name in newer if name not in older | OPTIONAL]
    if missing:
        sys.exit(f"{library.name}: {missing}; expected functions of glibc 2.28 or older")


def check_size(wheel: Path) -> None:
    size = wheel.stat().st_size / 1e6
    with zipfile.ZipFile(wheel) as archive:
        largest = sorted(archive.infolist(), key=lambda item: -item.compress_size)[:5]
    print(f"{wheel.name}: {size:.2f} MB")
    for item in largest:
        print(
            f"  {item.compress_size / 1e6:5.2f} MB ({item.file_size / 1e6:.2f} unpacked) {item.filename}"
        )
    if size > LARGEST:
        sys.exit(f"{wheel.name}: {size:.2f} MB; expected at most {LARGEST} MB")


def example() -> str:
    """A list and a potential of docs/quickstart.md, which need no file."""
    page = (ROOT / "docs" / "quickstart.md").read_text("utf-8")
    return "".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[:2])


def check_installation(wheel: Path, folder: Path) -> Path:
    """Install and run in a new environment below `folder`; the folder of the installed package."""
    venv.create(folder / "venv", with_pip=True)
    bin_folder = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    nothing = str(folder / "no-compiler")
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("PYTHON", "MDKERN", "SKBUILD", "CMAKE"))
    }
    environment = kept | {
        "PATH": str(bin_folder),
        "CC": nothing,
        "CXX": nothing,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }

    def run(*command: str | Path) -> None:
        subprocess.run([*map(str, command)], env=environment, cwd=folder, check=True)

    python = bin_folder / "python"
    run(python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", wheel.resolve())
    run(bin_folder / "mdkern", "info")
    run(bin_folder / "mdkern", "demo", "--quick")
    run(python, "-c", example())
    command = [str(python), "-c", "import mdkern; print(mdkern.__path__[0])"]
    return Path(subprocess.check_output(command, env=environment, cwd=folder, text=True).strip())


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for wheel in map(Path, sys.argv[1:]):
        check_size(wheel)
        with tempfile.TemporaryDirectory() as folder:
            package = check_installation(wheel, Path(folder))
            if sys.platform == "linux":
                for library in sorted(package.glob("*.so")):
                    check_glibc(library)


if __name__ == "__main__":
    main()
