"""MACE models of tests/data/mace, and files that look like those of PyTorch."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from pathlib import Path
from typing import Any

from reference_data import shared_folder

OWN = Path(__file__).resolve().parent / "data" / "mace" / "models"
TINY = ("tiny_plain", "tiny_density", "tiny_nonlinear")


def npz_models() -> list[Path]:
    return sorted(OWN.glob("*.npz"))


def torch_models() -> list[Path]:
    """Files of torch.save and TorchScript, most of them compressed: ours, and the shared ones."""
    shared = shared_folder("mace", "models")
    folders = [OWN] if shared is None else [OWN, shared]
    return [path for folder in folders for path in sorted([*folder.glob("*.model*"), *folder.glob("*.pt.gz")])]  # fmt: skip


def unpacked(packed: Path, folder: Path) -> Path:
    """The file without its compression."""
    if packed.suffix != ".gz":
        return packed
    path = folder / packed.stem
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    return path


def tiny(name: str) -> dict[str, bytes]:
    """Members of a tiny model's file by name; without compiled code, which nobody reads."""
    data = gzip.decompress((OWN / f"{name}.model.gz").read_bytes())
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = {item: file.read(item) for item in file.namelist()}
    key = next(item for item in members if item.endswith("/data.pkl"))
    members[key] = _without_code(members[key])
    return members


def _without_code(pickle: bytes) -> bytes:
    """Texts that are archives themselves made empty."""
    out, at = b"", 0
    while (start := pickle.find(b"PK\x03\x04", at)) >= 0:
        length = struct.unpack("<I", pickle[start - 4 : start])[0]
        out += pickle[at : start - 4] + struct.pack("<I", 0)
        at = start + length
    return out + pickle[at:]


def archive(members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", kind) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return out.getvalue()


def torch_file(pickle: bytes, **storages: bytes) -> bytes:
    """As torch.save writes one: ``s0=...`` is the storage 0."""
    members = {"x/data.pkl": pickle, "x/byteorder": b"little"}
    return archive(members | {f"x/data/{name[1:]}": data for name, data in storages.items()})


# --- pieces of pickles


def name(module: str, what: str) -> bytes:
    return f"c{module}\n{what}\n".encode()


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def numbers(*values: int) -> bytes:
    return (
        b"(" + b"".join(b"\x8a\x08" + v.to_bytes(8, "little", signed=True) for v in values) + b"t"
    )


def tensor(
    shape: tuple[int, ...], strides: tuple[int, ...], count: int, offset: int = 0, **options: Any
) -> bytes:
    """A tensor of the storage "0" with `count` numbers."""
    kind = options.get("kind", "DoubleStorage")
    identity = (
        b"(" + text("storage") + name("torch", kind) + text(options.get("key", "0")) + text("cpu")
    )
    identity += numbers(count)[1:-1] + b"tQ"
    arguments = b"(" + identity + numbers(offset)[1:-1] + numbers(*shape) + numbers(*strides)
    build = options.get("build", name("torch._utils", "_rebuild_tensor_v2"))
    return build + arguments + b"\x89)tR"
