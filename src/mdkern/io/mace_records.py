"""Modules of PyTorch as records of a pickle: checked values by their names.

Everything in a record may be missing or of another kind than expected; what is handed out is not.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.mace_contract import MAX_ELL, Irreps, irreps
from mdkern.io.pickled import Record
from mdkern.io.torch_file import TorchFile

__all__ = ["Module", "fields_of", "model_class"]

_MANGLED = re.compile(r"__torch__\.|___torch_mangle_\d+\.")
_WRAPPERS = ("torch.jit._pickle.restore_type_tag", "torch.jit._pickle.build_intlist")
_PACKAGES = ("mace", "e3nn", "torch")  # others have classes of the same names
_LORA = "mace.modules.lora"
_ABSENT = object()


def model_class(root: Any) -> str:
    """Name of the class of a file's object, without what TorchScript adds to it; "": no object."""
    return _MANGLED.sub("", root.name) if isinstance(root, Record) else ""


class Module:
    """A module: options, parameters, buffers and other modules by name."""

    def __init__(self, file: TorchFile, where: str, value: Any) -> None:
        self.file, self.where, self.value = file, where, value
        self.kind = model_class(value)
        state = value.state if isinstance(value, Record) else None
        if not isinstance(state, dict):
            raise FormatError(f"{where}: no module; expected one", file.path)
        self.state: dict[str, Any] = state

    # --- refusals

    def name(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key

    def bad(self, key: str, message: str) -> NoReturn:
        raise FormatError(f"{self.name(key)}: {message}", self.file.path)

    def refuse(self, key: str, message: str) -> NoReturn:
        raise UnsupportedError(f"{self.file.path}: {self.name(key)}: {message}")

    def be(self, *classes: str) -> str:
        """The class without its package, which must be one of these."""
        short = self.kind.rpartition(".")[2]
        package = self.kind.partition(".")[0]
        if short not in classes or package not in _PACKAGES or self.kind.startswith(_LORA):
            known = f"{', '.join(classes)} {'is' if len(classes) == 1 else 'are'}"
            if package.startswith("cuequivariance"):
                known += "; mace_cueq_to_e3nn of mace-torch makes a model that is read"
            where = f"{self.where}: " if self.where else ""
            raise UnsupportedError(f"{self.file.path}: {where}{self.kind} is not read; {known}")
        return short

    # --- members

    def find(self, key: str) -> Any:
        for group in ("_parameters", "_buffers", "_modules"):
            held = self.state.get(group)
            if isinstance(held, dict) and held.get(key) is not None:
                return held[key]
        return self.state.get(key, _ABSENT)

    def get(self, key: str) -> Any:
        value = self.find(key)
        if value is _ABSENT:
            raise FormatError(f"{self.where or 'the model'}: no {key!r}", self.file.path)
        return value

    def has(self, key: str) -> bool:
        value = self.find(key)
        return value is not _ABSENT and value is not None

    def module(self, key: str) -> Module:
        return Module(self.file, self.name(key), self.get(key))

    def modules(self, most: int) -> list[Module]:
        """Members of a list of modules, at most so many."""
        out: list[Module] = []
        while (value := self.find(str(len(out)))) is not _ABSENT:
            if len(out) == most:
                raise UnsupportedError(f"{self.file.path}: {self.where}: more than {most}")
            out.append(Module(self.file, self.name(str(len(out))), value))
        return out

    def tensor(self, key: str, *shape: int | None, kept: bool = True) -> NDArray[Any]:
        """Numbers in the type that they have in the file."""
        array = self.file.array(self.get(key), self.name(key), kept)
        fits = len(array.shape) == len(shape) and all(
            n is None or n == m for n, m in zip(shape, array.shape, strict=True)
        )
        if not fits:
            said = str(tuple("any" if n is None else n for n in shape)).replace("'", "")
            self.bad(key, f"shape {array.shape}; expected {said}")
        return array

    def array(self, key: str, *shape: int | None) -> NDArray[np.float64]:
        return np.array(self.tensor(key, *shape), np.float64, order="C")

    def flat(self, key: str, count: int | None = None) -> NDArray[Any]:
        """All numbers of a tensor in the type that they have in the file."""
        array = self.file.array(self.get(key), self.name(key)).ravel()
        if count is not None and array.size != count:
            self.bad(key, f"{array.size} numbers; expected {count}")
        return array

    def vector(self, key: str, count: int | None = None) -> NDArray[np.float64]:
        return self.flat(key, count).astype(np.float64)

    def number(self, key: str) -> float:
        """An option or a tensor of one number."""
        value = self.get(key)
        if isinstance(value, Record) and value.name.endswith("multiarray.scalar"):
            value = _numpy_scalar(value)
        if isinstance(value, Record):
            value = self.vector(key, 1)[0].item()
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not abs(value) <= 1e100
        ):
            self.bad(key, "expected a number")
        return float(value)

    def whole(self, key: str) -> int:
        value = self.number(key)
        if not value.is_integer() or abs(value) > 2**31:
            self.bad(key, f"{value:g}; expected a whole number")
        return int(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self.find(key)
        if value is _ABSENT or value is None:
            return default
        if not isinstance(value, bool):
            self.bad(key, "expected true or false")
        return value

    def irreps(self, key: str) -> Irreps:
        """[multiplicity, l, parity] of each irrep."""
        out = []
        for item in self.rows(key):
            pair = fields_of(item)
            kind = fields_of(pair[1]) if len(pair) == 2 else ()
            found = [*pair[:1], *kind]
            if len(found) != 3 or not all(type(n) is int for n in found):
                self.bad(key, "expected irreps")
            out.append(found)
        return out

    def rows(self, key: str) -> tuple[Any, ...]:
        return fields_of(self.get(key))

    def channels(self, key: str) -> tuple[int, int]:
        """Multiplicity and largest l of irreps Kx0e+Kx1o+..."""
        found = self.irreps(key)
        channels = found[0][0] if found else 0
        if found != irreps(channels, len(found) - 1) or len(found) > MAX_ELL + 1 or channels < 1:
            said = "+".join(f"{k}x{ell}{'e' if p > 0 else 'o'}" for k, ell, p in found[:20])
            self.refuse(key, f"{said}; irreps Kx0e+Kx1o+Kx2e.. of one multiplicity and without gaps are read")  # fmt: skip
        return channels, len(found) - 1


def fields_of(value: Any) -> tuple[Any, ...]:
    """Of a tuple, a list, a named tuple, or what TorchScript or a class of tuples wraps around one."""
    if isinstance(value, Record):
        args = value.args
        wrapped = value.name in _WRAPPERS or (len(args) == 1 and isinstance(args[0], (tuple, list)))
        value = args[0] if wrapped and args else args
    return tuple(value) if isinstance(value, (tuple, list)) else ()


def _numpy_scalar(record: Record) -> Any:
    """A number of NumPy's, which a pickle has as the name of its type and its bytes."""
    dtype, data = record.args if len(record.args) == 2 else (None, None)
    kind = dtype.args[0] if isinstance(dtype, Record) and dtype.args else None
    text = data.args[0] if isinstance(data, Record) and data.args else None
    if kind not in ("f8", "f4", "i8", "i4") or not isinstance(text, str):
        return None
    raw = text.encode("latin-1", "replace")
    number = np.dtype(f"<{kind}")
    return np.frombuffer(raw, number)[0].item() if len(raw) == number.itemsize else None
