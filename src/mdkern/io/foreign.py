"""What a file that is not read looks like, and the way out: one table for all readers of potentials.

A file is judged by its first bytes and, where these say nothing, by its name. Nothing is executed, unpickled or unpacked beyond them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.text import read_head, show
from mdkern.registry import file_formats, recognised

__all__ = ["Foreign", "check_foreign", "members", "recognise", "refusal"]

_CONVERT = "'dp convert-backend MODEL model.dp' makes a file that is read"
_ELSEWHERE = "a method that mdkern does not have"
_COUPLED = "pace_yaml2yace makes a .yace of its result, which is read"
_ACTIVE = "it has extrapolation grades only; the .yace beside it is the potential"
_GRACE = "a message-passing family that is not read; of GRACE the FS models are, exported as .yaml"
_STRUCTURE = "atoms, not a potential"
_UNPACK = "unpack it first"
_WHOLE = "of MACE whole models are read, as torch.save(model, PATH) writes them"
_LOCAL, _CENTRAL, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_ZIP_BYTES = 2**18  # of either end of an archive
_PROGRAMS = {
    b"nequip": "NequIP",
    b"allegro": "Allegro",
    b"chgnet": "CHGNet",
    b"sevenn": "SevenNet",
}


@dataclass(frozen=True, slots=True)
class Foreign:
    """Kind of a file and what to do with it.

    Attributes
    ----------
    what : str
        For "looks like ...".
    remedy : str
        Or the reason why it is not read.
    kind : {"potential", "structure", "other"}
    """

    what: str
    remedy: str = ""
    kind: Literal["potential", "structure", "other"] = "potential"


_SYMBOL = rb"[A-Z][a-z]?[0-9+]*"
_NUM = rb"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eEdD][+-]?\d+)?"
_TRIPLE = re.compile(rb"(?:%s\s+){3}(?=%s\s)" % (_SYMBOL, _NUM))

# Binary files: how they begin.
_MAGIC: tuple[tuple[bytes, Foreign], ...] = (
    (b"\x1f\x8b", Foreign("a file compressed by gzip", _UNPACK, "other")),
    (b"BZh", Foreign("a file compressed by bzip2", _UNPACK, "other")),
    (b"\xfd7zXZ\x00", Foreign("a file compressed by xz", _UNPACK, "other")),
    (b"\x28\xb5\x2f\xfd", Foreign("a file compressed by zstd", _UNPACK, "other")),
    (b"7z\xbc\xaf\x27\x1c", Foreign("an archive of 7-Zip", _UNPACK, "other")),
    (b"\xff\xfe", Foreign("text in UTF-16", "save it as UTF-8", "other")),
    (b"\xfe\xff", Foreign("text in UTF-16", "save it as UTF-8", "other")),
    (b"- of Ulm", Foreign("a trajectory of ASE (.traj)", _STRUCTURE, "structure")),
    (b"SQLite format 3\0", Foreign("an SQLite database, as of ase.db", _STRUCTURE, "structure")),
    (b"CDF\1", Foreign("a NetCDF file", _STRUCTURE, "structure")),
    (b"CDF\2", Foreign("a NetCDF file", _STRUCTURE, "structure")),
    (b"CDF\5", Foreign("a NetCDF file", _STRUCTURE, "structure")),
    (b"\x7fELF", Foreign("a compiled library, as a model of OpenKIM", _ELSEWHERE)),
    (b"\x93NUMPY", Foreign("one array of NumPy (.npy)", kind="other")),
    (b"\x89PNG", Foreign("an image (PNG)", kind="other")),
    (b"%PDF", Foreign("a PDF file", kind="other")),
    (
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
        Foreign(
            "a file of PyTorch (of its old format)",
            f"PyTorch can load it and save it anew; {_WHOLE}",
        ),
    ),
)
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
# A GraphDef begins with a node: its length, its name, its operation.
_GRAPH = re.compile(rb"\n[\x00-\xff]{1,5}?\n([\x01-\xff])([ -~]{1,255})", re.DOTALL)

# Text: what some line has.
_TEXT: tuple[tuple[str, Foreign], ...] = (
    (
        r"\Aversion https://git-lfs",
        Foreign("a pointer of Git LFS", "'git lfs pull' fetches the file itself", "other"),
    ),
    (
        r"(?i)\A\s*<(!doctype )?html",
        Foreign("a web page", "download the file itself", "other"),
    ),
    (r"<GAP_params\b", Foreign("GAP, of QUIP (.xml)", _ELSEWHERE)),
    (r"<(\w{1,20}_params|Potential|quip)\b", Foreign("a potential of QUIP (.xml)", _ELSEWHERE)),
    (r"(?s)\A\s*<\?xml.*<modeling", Foreign("vasprun.xml of VASP", _STRUCTURE, "structure")),
    (r"\A\s*<", Foreign("an XML file", kind="other")),
    (
        r"^[ \t]*(-[ \t]+|\{[ \t]*)?(speciesblock|nbody)[ \t]*:",
        Foreign("a fit of pacemaker (.yaml), coefficients before their coupling", _COUPLED),
    ),
    (
        r"^potential[ \t]*:[\s\S]{0,2000}?\b(deltaSplineBins|bonds|embeddings)[ \t]*:",
        Foreign("input.yaml of pacemaker, the input of a fit", _COUPLED, "other"),
    ),
    (
        r"(?i)(symmetry function scaling data|neural network connection|nnp (weight|library))",
        Foreign("weights or scaling of n2p2", "pass their folder, which has input.nn, too"),
    ),
    (r"(?i)^[ \t]*\d+[ \t]+(![ \t]*)?number of general parameters", Foreign("ReaxFF", _ELSEWHERE)),
    (
        r"(?i)^[ \t]*'?\w[\w+-]{0,20}'?[ \t]+'?(fcc|bcc|hcp|dia|dia3|dim|ch4|lin|zig|tri|sc|b1|b2|l12|c11)'?[ \t]+[\d.]+[ \t]+\d+[ \t]+[\d.]+",
        Foreign("a library of MEAM (.meam)", _ELSEWHERE),
    ),
    (
        r"(?i)^[ \t]*(cmin|cmax|attrac|repuls|rc|delr|augt1|ialloy|erose_form|bkgd_dyn|alpha|lattce|zbl|nn2|emb_lin_neg)[ \t]{0,9}(\([\d, ]{1,9}\))?[ \t]{0,9}=",
        Foreign("parameters of MEAM (.meam)", _ELSEWHERE),
    ),
    (r"\A\s*MTP\b", Foreign("a moment tensor potential (.mtp)", _ELSEWHERE)),
    (r"\A#\s*UF3", Foreign("UF3 (.uf3)", _ELSEWHERE)),
    (r"^atomtypes:", Foreign("a network of RANN (.rann)", _ELSEWHERE)),
    (r"^[ \t]*global:\s", Foreign("EIM (.eim)", _ELSEWHERE)),
    (
        r"\A\s*(tersoff_(1988|1989|mini|modc)|lj|fcp|eam_\w+|ilp_\w+|dp)\s+\d+",
        Foreign("another potential of GPUMD", _ELSEWHERE),
    ),
    (
        r"\A(\s*#.*\n)*\s*(type\s+\d+\s+[A-Z]|version\s+[345]\s)",
        Foreign("nep.in, the input of a training", "nep.txt is its result", "other"),
    ),
    (
        r"^[ \t]*(pair_style|pair_coeff|atom_style)\s",
        Foreign("an input script of LAMMPS", "pass the file that pair_coeff names", "other"),
    ),
    (
        r"\A\s*begin\s*\n\s*(comment|lattice|atom)\b",
        Foreign("input.data of n2p2 or RuNNer", _STRUCTURE, "structure"),
    ),
    (r"\AITEM: ", Foreign("a dump of LAMMPS", _STRUCTURE, "structure")),
    (r"^[ \t]*\d+\s+atoms\s*$", Foreign("a data file of LAMMPS", _STRUCTURE, "structure")),
    (r"^(data_\S*|_cell_length_a\b.*)\s*$", Foreign("CIF", _STRUCTURE, "structure")),
    (r"^(CRYST1|ATOM  |HETATM)", Foreign("PDB", _STRUCTURE, "structure")),
    (
        r"\A\s*\d+[ \t]*\n.*\n\s*[A-Z][a-z]?\w*([ \t]+%N){3}".replace("%N", _NUM.decode()),
        Foreign("atoms in (extended) XYZ", _STRUCTURE, "structure"),
    ),
    (
        r"\A.*\n\s*%N[ \t]*\n(\s*%N[ \t]+%N[ \t]+%N[ \t]*\n){3}".replace("%N", _NUM.decode()),
        Foreign("POSCAR of VASP", _STRUCTURE, "structure"),
    ),
    (r"\A\s*[{[]", Foreign("a JSON file without a model of DeePMD-kit", kind="other")),
)
_LINES = tuple((re.compile(pattern, re.MULTILINE), kind) for pattern, kind in _TEXT)

# Names, where the content says nothing.
_NAMES: dict[str, Foreign] = {
    ".pb": Foreign("a frozen graph of TensorFlow (.pb)", _CONVERT),
    ".pth": Foreign("a model of PyTorch (.pth)", _CONVERT),
    ".pt": Foreign("a model of PyTorch (.pt)", _CONVERT),
    ".pt2": Foreign("a compiled model of PyTorch (.pt2)", _ELSEWHERE),
    ".mliap.model": Foreign("coefficients of LAMMPS's ML-IAP (.mliap.model)", _ELSEWHERE),
    ".model": Foreign("a damaged model of MACE (.model)", _WHOLE),
    ".onnx": Foreign("ONNX", _ELSEWHERE),
    ".vashishta": Foreign("Vashishta (.vashishta)", _ELSEWHERE),
    ".asi": Foreign("an active set of ACE (.asi)", _ACTIVE),
    ".meam": Foreign("MEAM (.meam)", _ELSEWHERE),
    ".reax": Foreign("ReaxFF", _ELSEWHERE),
    ".edip": Foreign("EDIP (.edip)", _ELSEWHERE),
    ".comb": Foreign("COMB", _ELSEWHERE),
    ".comb3": Foreign("COMB3", _ELSEWHERE),
    ".airebo": Foreign("AIREBO (.airebo)", _ELSEWHERE),
    ".rebo": Foreign("REBO (.rebo)", _ELSEWHERE),
    ".eim": Foreign("EIM (.eim)", _ELSEWHERE),
    ".mtp": Foreign("a moment tensor potential (.mtp)", _ELSEWHERE),
    ".almtp": Foreign("a moment tensor potential (.almtp)", _ELSEWHERE),
    ".uf3": Foreign("UF3 (.uf3)", _ELSEWHERE),
    ".pod": Foreign("POD (.pod)", _ELSEWHERE),
    ".skf": Foreign("tables of DFTB (.skf)", _ELSEWHERE),
    ".table": Foreign("tables of LAMMPS's pair_style table", _ELSEWHERE),
}


def recognise(path: str | os.PathLike[str]) -> Foreign | None:
    """What a file or folder that is no potential of ours looks like; None: nothing that is known.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    if Path(path).is_dir():
        return _folder(Path(path))
    head = read_head(path)
    return (
        next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
        or _archive(path, head)
        or _hdf5(head)
        or _graph(head)
        or _three_body(path, head)
        or _text(head)
        or _named(path, head)
    )


def check_foreign(path: str | os.PathLike[str]) -> None:
    """Raise UnsupportedError with what the file looks like, where that is known, and FormatError where it is empty."""
    error = refusal(path)
    if isinstance(error, UnsupportedError) or not read_head(path).strip():
        raise error


def refusal(path: str | os.PathLike[str]) -> UnsupportedError | FormatError:
    """The exception for a file that is of no format that is read: what it looks like, the way out, the formats."""
    formats = file_formats()
    reads = f"mdkern reads {', '.join(formats[:-1])} and {formats[-1]}"
    kind = _own(path) or recognise(path)
    if kind is not None:
        out = f": {kind.remedy}" if kind.remedy else ""
        return UnsupportedError(f"{os.fspath(path)}: looks like {kind.what}{out}; {reads}")
    head = read_head(path)
    if not head.strip():
        return FormatError(f"the file is empty; {reads}", path)
    first = "binary data" if b"\0" in head else f"begins with {show(head.strip().splitlines()[0])}"
    return FormatError(f"{first}: no format that is known; {reads}", path)


def _own(path: str | os.PathLike[str]) -> Foreign | None:
    """A potential that mdkern reads, where another of its readers was called."""
    entry = recognised(path)
    if entry is None or entry.files is None:
        return None
    return Foreign(entry.files.formats, "mdkern.load takes it")


def _folder(path: Path) -> Foreign | None:
    if (path / "saved_model.pb").exists() and (path / "metadata.yaml").exists():
        return Foreign("a SavedModel of GRACE (TensorFlow)", _GRACE)
    if (path / "saved_model.pb").exists():
        return Foreign("a SavedModel of TensorFlow", _CONVERT)
    return None


def members(path: str | os.PathLike[str]) -> tuple[list[bytes], bytes]:
    """Names in a zip archive that its beginning and its end show, and these bytes; none: no archive.

    The archive is not opened: what it declares about itself costs nothing then.
    """
    with Path(path).open("rb") as file:
        seen = file.read(_ZIP_BYTES)
        if not seen.startswith(_LOCAL):
            return [], b""
        end = file.seek(0, os.SEEK_END)
        file.seek(max(len(seen), end - _ZIP_BYTES))
        seen += file.read(_ZIP_BYTES)
    names = []
    for mark, length, name in ((_LOCAL, 26, 30), (_CENTRAL, 28, 46)):
        for match in re.finditer(re.escape(mark), seen):
            at = match.start()
            size = int.from_bytes(seen[at + length : at + length + 2], "little")
            names.append(seen[at + name : at + name + size])
    return names, seen


def _archive(path: str | os.PathLike[str], head: bytes) -> Foreign | None:
    if not head.startswith(_LOCAL):
        return None
    names, seen = members(path)
    if any(name.endswith(b"/data.pkl") or b"/data/" in name for name in names):
        code = names[0].partition(b"/")[0] + b"/code/"
        is_script = any(name.startswith(code) for name in names)
        what = "a model of PyTorch (TorchScript)" if is_script else "a file of PyTorch"
        if b"deepmd" in seen:
            return Foreign(f"{what}, of DeePMD-kit", _CONVERT)
        for mark, program in _PROGRAMS.items():
            # c: the pickle's operation that a name follows
            if re.search(rb"(?<!\w)c?%s[./]" % mark, seen):
                return Foreign(f"{what}, of {program}", _ELSEWHERE)
        if Path(path).suffix.lower() == ".model" or re.search(rb"(?<!\w)c?mace[./]", seen):
            return Foreign(f"{what} without a whole model of MACE", _WHOLE)
        return Foreign(what, f"if it is of DeePMD-kit, {_CONVERT}; {_WHOLE}")
    if b"aotinductor" in seen:
        return _NAMES[".pt2"]
    if Path(path).suffix.lower() == ".asi":
        return _NAMES[".asi"]
    if names and all(name.endswith(b".npy") for name in names):
        if b"built_positions.npy" in names:
            return Foreign("a checkpoint of mdkern md", "it goes to --restart", "other")
        return Foreign(
            "arrays of NumPy (.npz) that are no linear model and none of MACE", kind="other"
        )
    return Foreign("a zip archive", _UNPACK, "other") if _END in seen else None


def _hdf5(head: bytes) -> Foreign | None:
    if not head.startswith(b"\x89HDF\r\n\x1a\n"):
        return None
    if b"h5md" in head:
        return Foreign("a trajectory in H5MD", _STRUCTURE, "structure")
    return Foreign("an HDF5 file without a model of DeePMD-kit", kind="other")


def _graph(head: bytes) -> Foreign | None:
    match = _GRAPH.match(head)
    if match is None:
        return None
    end = match.start(2) + match[1][0]
    operation = head[end : end + 1] == b"\x12" and head[end + 2 : end + 3].isalpha()
    return _NAMES[".pb"] if operation else None


def _three_body(path: str | os.PathLike[str], head: bytes) -> Foreign | None:
    if _TRIPLE.match(re.sub(rb"#.*", b"", head).lstrip()) is None:
        return None
    name = Path(path).name.lower()
    for mark in (".vashishta", ".edip"):
        if mark in name or mark[1:].encode() in head.lower():
            return _NAMES[mark]
    if name.endswith((".sw", ".tersoff", ".tersoff.mod", ".tersoff.modc", ".tersoff.zbl")):
        return None  # one of ours that is damaged: its reader says how
    return Foreign("parameters of three-body terms of LAMMPS", _ELSEWHERE)


def _text(head: bytes) -> Foreign | None:
    if b"\0" in head:
        return None
    text = head.decode("latin-1").replace("\r\n", "\n")
    return next((kind for pattern, kind in _LINES if pattern.search(text)), None)


def _named(path: str | os.PathLike[str], head: bytes) -> Foreign | None:
    """By the end of the name, where there is some content at all."""
    if not head.strip():
        return None
    if _PICKLE.match(head):
        return Foreign("a pickle of Python", "not opened, as loading one executes what it says")
    name = Path(path).name.lower()
    kind = next((kind for end, kind in _NAMES.items() if name.endswith(end)), None)
    of_lammps = re.match(rb"#*\s*DATE: \d{4}.*(UNITS:|CONTRIBUTOR:)", head[:2000])
    if kind is None and of_lammps and ".eam" not in name:
        return Foreign("a potential of LAMMPS for another pair style", _ELSEWHERE)
    return kind
