"""Models that are linear in a descriptor."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import ArrayLike, NDArray

from mdkern import checks
from mdkern.errors import FormatError, UnsupportedError
from mdkern.io.archive import read_archive
from mdkern.io.documents import json_of
from mdkern.io.foreign import check_foreign, members
from mdkern.potentials.base import InCore

__all__ = ["LinearModel", "is_linear"]

_FORMAT = "mdkern-linear-1"


class LinearModel(InCore):
    r"""Energy of every atom linear in the descriptor of its environment, with weights of its element.

    .. math:: E = \sum_i \left( b_{Z_i} + w_{Z_i} \cdot D_i \right)

    Forces and virial are exact derivatives, in adjoint form: no Jacobian is formed.

    Parameters
    ----------
    descriptor : Descriptor, dict or path
        :class:`mdkern.descriptors.SOAP` or another one, with ``periodic=True``; what its ``to_dict`` returns; or a file that
        :meth:`save` wrote, without the other arguments. For dynamics SOAP needs ``smooth_cutoff``.
    weights : (n_species, n_features) array
        eV, species by atomic number; (n_features,): the same for all.
    intercepts : (n_species,) array, optional
        eV; by default zero.

    Raises
    ------
    ValueError
        Arrays of the wrong shape, numbers that are not finite, a descriptor that averages or is not periodic.
    FormatError
        The file is not a model.
    """

    core_name = "linear"

    def __init__(
        self,
        descriptor: Any,
        weights: ArrayLike | None = None,
        intercepts: ArrayLike | None = None,
    ) -> None:
        from mdkern.descriptors import from_dict

        if isinstance(descriptor, (str, os.PathLike)):
            if weights is not None or intercepts is not None:
                raise ValueError("weights, intercepts: given together with a file that has them")
            description, weights, intercepts = _read(descriptor)
            try:
                with np.errstate(over="raise", divide="raise", invalid="raise"):
                    self._take(from_dict(description), weights, intercepts)
            except (ValueError, TypeError, LookupError, ArithmeticError) as e:
                # Arguments of descriptors, which may be anything here.
                raise FormatError(f"descriptor, weights: {str(e)[:300]}", path=descriptor) from None
            return
        if weights is None:
            raise ValueError("weights: missing; expected an array (n_species, n_features)")
        if isinstance(descriptor, Mapping):
            descriptor = from_dict(descriptor)
        self._take(descriptor, weights, intercepts)

    def _take(self, descriptor: Any, weights: Any, intercepts: Any) -> None:
        if getattr(descriptor, "average", None) != "off" or not descriptor.periodic:
            raise ValueError(
                f"descriptor: {descriptor!r}; expected one with average='off' and periodic=True"
            )
        n, f = len(descriptor.species), descriptor.get_number_of_features()
        w = checks.numbers("weights", weights)
        b = np.zeros(n) if intercepts is None else checks.numbers("intercepts", intercepts)
        if w.shape not in ((f,), (n, f)):
            raise ValueError(f"weights: shape {w.shape}; expected ({n}, {f}) or ({f},)")
        if b.shape != (n,):
            raise ValueError(f"intercepts: shape {b.shape}; expected ({n},)")
        if not (np.isfinite(w).all() and np.isfinite(b).all()):
            raise ValueError("weights, intercepts: expected finite numbers")
        self.descriptor = descriptor
        self.weights: NDArray[np.float64] = np.array(np.broadcast_to(w, (n, f)), order="C")
        self.intercepts: NDArray[np.float64] = b.copy()
        self.species: tuple[str, ...] = tuple(chemical_symbols[z] for z in descriptor.species)
        self.cutoff = float(descriptor.reach)
        self.make()

    def fields(self) -> dict[str, Any]:
        """What the core makes the potential from (``cpp/potentials/linear.cpp``, or the descriptor's own)."""
        if hasattr(self.descriptor, "linear_fields"):
            own: dict[str, Any] = self.descriptor.linear_fields(self.weights, self.intercepts)
            return own
        return {
            "descriptor": self.descriptor.core_fields(),
            "weights": self.weights,
            "intercepts": self.intercepts,
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an ``.npz`` file: descriptor as JSON, weights, intercepts. An existing file is replaced.

        Raises
        ------
        UnsupportedError
            The descriptor is that of a model's file: :meth:`export` writes a model file with all of it.
        """
        if hasattr(self.descriptor, "linear_fields"):
            raise UnsupportedError(
                f"save: {type(self.descriptor).__name__} is made from the file of a model; expected export"
            )
        with Path(path).open("wb") as file:
            np.savez(
                file,
                format=np.array(_FORMAT),
                descriptor=np.array(json.dumps(self.descriptor.to_dict())),
                weights=self.weights,
                intercepts=self.intercepts,
            )


def is_linear(path: str | os.PathLike[str]) -> bool:
    """Whether the file is an archive with the arrays of a linear model."""
    return b"descriptor.npy" in members(path)[0]


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Any, Any]:
    """Description, weights and intercepts of a file, whose content is not trusted."""
    name = os.fspath(path)
    if not is_linear(path):
        check_foreign(path)
    data = read_archive(path, "a linear model")
    missing = {"format", "descriptor", "weights", "intercepts"} - set(data)
    if missing:
        raise FormatError(f"no array {min(missing)!r}: not a linear model", path=name)
    found = _text(data["format"])
    if found != _FORMAT:
        raise FormatError(f"format {found[:40]!r}; expected {_FORMAT!r}", path=name)
    description = json_of(_text(data["descriptor"]), name)
    if not isinstance(description, dict):
        raise FormatError("descriptor: expected a JSON object", path=name)
    for label in ("weights", "intercepts"):
        if data[label].dtype.kind not in "fiu":
            raise FormatError(f"{label}: {data[label].dtype} array; expected numbers", path=name)
    return description, data["weights"], data["intercepts"]


def _text(array: NDArray[Any]) -> str:
    """Of an array that is one text; else, or where it is no Unicode, nothing."""
    if array.dtype.kind != "U" or array.size != 1:
        return ""
    order = "be" if array.dtype.byteorder == ">" else "le"
    return array.tobytes().decode(f"utf-32-{order}", "replace").rstrip("\0")
