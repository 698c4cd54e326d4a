"""Readings of the installation: metadata of packages, PATH, libraries in the process."""

from __future__ import annotations

import ctypes
import json
import platform
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlparse
from urllib.request import url2pathname

from mdkern.doctor.readings import Extra, Installation, Package
from mdkern.doctor.system import RUNTIME

__all__ = ["bundled_runtimes", "read_installation", "requirements", "runtimes"]


def installed_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def requirements(
    requires: Sequence[str],
    extras: Iterable[str],
    installed: Callable[[str], str | None] = installed_version,
) -> tuple[tuple[Package, ...], tuple[Extra, ...]]:
    """What everybody needs and what each extra needs, from the lines of a package's metadata.

    An extra that names others of the same package, ``mdkern[cli,plot]``, needs what they need. Nothing where ``packaging``, which
    ASE's requirements bring, is missing.
    """
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return (), ()

    lines = [Requirement(line) for line in requires]

    def needed(extra: str, seen: frozenset[str]) -> dict[str, Package]:
        out: dict[str, Package] = {}
        for line in lines:
            of_extra = "extra" in str(line.marker or "")
            if of_extra != bool(extra) or (line.marker and not line.marker.evaluate({"extra": extra})):  # fmt: skip
                continue
            if line.name == "mdkern":
                for other in sorted(line.extras - seen):
                    out |= needed(other, seen | {other})
                continue
            version = installed(line.name)
            ok = version is not None and line.specifier.contains(version, prereleases=True)
            out[line.name] = Package(line.name, str(line.specifier), version, ok)
        return out

    found = tuple(
        Extra(name, tuple(needed(name, frozenset((name,))).values())) for name in sorted(extras)
    )
    return tuple(needed("", frozenset()).values()), found


def read_installation(core_file: str | None) -> Installation:
    """Where this mdkern is; `core_file` is its compiled module."""
    folder = Path(__file__).resolve().parents[1]
    found = list(metadata.distributions(name="mdkern"))
    source: Path | None = None
    requires: tuple[Package, ...] = ()
    extras: tuple[Extra, ...] = ()
    if found:
        source = editable_source(found[0].read_text("direct_url.json"))
        names = found[0].metadata.get_all("Provides-Extra") or []
        requires, extras = requirements(found[0].requires or [], names)
    command = shutil.which("mdkern")
    return Installation(
        found[0].version if found else None,
        sys.version.split()[0],
        sys.executable,
        f"{platform.system()} {platform.release()}, {platform.machine()}",
        str(folder),
        None if source is None else str(source),
        None if source is None or core_file is None else newer_source(source, Path(core_file)),
        tuple(dict.fromkeys(str(other.locate_file("")) for other in found))[1:],
        command,
        command is not None and not belongs(Path(command), script_folders()),
        requires,
        extras,
    )


def editable_source(direct_url: str | None) -> Path | None:
    """Folder of the sources of an editable installation, from what pip noted of it; a damaged note is none."""
    try:
        origin = json.loads(direct_url or "{}")
    except ValueError:
        return None
    if not isinstance(origin, dict):
        return None
    url = urlparse(origin.get("url", ""))
    if not origin.get("dir_info", {}).get("editable") or url.scheme != "file":
        return None
    return Path(url2pathname(unquote(url.path)))


def newer_source(source: Path, core_file: Path) -> str | None:
    """The latest source of the compiled part, where it was changed after the last build."""
    built = max(
        (p.stat().st_mtime for p in core_file.parent.glob("*") if p.suffix in (".so", ".dylib", ".pyd")),
        default=0.0,
    )  # fmt: skip
    files = [
        path
        for path in [source / "CMakeLists.txt", *(source / "cpp").rglob("*.?pp")]
        if path.exists() and "tests" not in path.relative_to(source).parts
    ]
    last = max(files, key=lambda path: path.stat().st_mtime, default=None)
    return str(last) if last is not None and built and last.stat().st_mtime > built else None


def script_folders() -> list[Path]:
    """Where pip puts the commands of this Python."""
    user = sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user"))
    return [Path(sysconfig.get_path("scripts")), Path(user)]


def belongs(command: Path, folders: Iterable[Path]) -> bool:
    """Whether a command lies in one of the folders, or is a link into it. What pyenv puts in front of all is nobody's."""
    at = {command.parent.resolve(), command.resolve().parent}
    return command.parent.name == "shims" or bool(at & {folder.resolve() for folder in folders})


def libraries() -> list[str]:
    """Files of the libraries in this process, where the system tells."""
    maps = Path("/proc/self/maps")
    if maps.exists():
        lines = maps.read_text(encoding="utf-8", errors="replace").splitlines()
        return sorted({line.split(maxsplit=5)[5] for line in lines if " /" in line})
    if sys.platform == "darwin":
        here = ctypes.CDLL(None)
        name, count = here["_dyld_get_image_name"], here["_dyld_image_count"]
        name.restype = ctypes.c_char_p
        return [name(k).decode() for k in range(count())]
    return []


def runtimes(files: Iterable[str]) -> tuple[str, ...]:
    """Those that are OpenMP runtimes; one file under several names counts once."""
    found = (Path(file) for file in files if RUNTIME.match(Path(file).name))
    return tuple(sorted({str(file.resolve()) for file in found}))


def bundled_runtimes() -> dict[str, str]:
    """OpenMP runtimes that installed packages bring along, by package."""
    out: dict[str, str] = {}
    for package in metadata.distributions():
        for file in package.files or ():
            if RUNTIME.match(file.name) and package.metadata["Name"]:
                out[package.metadata["Name"]] = file.name
    return out
