"""Models that are linear in a descriptor."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import ArrayLike, NDArray

from mdkern import checks
from mdkern.errors import FormatError
from mdkern.potentials.base import Result

__all__ = ["LinearModel"]

_FORMAT = "mdkern-linear-1"
_MAX_BYTES = 2 << 30


class LinearModel:
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
                self._take(from_dict(description), weights, intercepts)
            except ValueError as e:
                raise FormatError(str(e), path=descriptor) from None
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
        self.weights: NDArray[np.float64] = np.ascontiguousarray(np.broadcast_to(w, (n, f)))
        self.intercepts: NDArray[np.float64] = b.copy()
        self.species: tuple[str, ...] = tuple(chemical_symbols[z] for z in descriptor.species)
        self.cutoff = float(descriptor.reach)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an ``.npz`` file: descriptor as JSON, weights, intercepts. An existing file is replaced."""
        with Path(path).open("wb") as file:
            np.savez(
                file,
                format=np.array(_FORMAT),
                descriptor=np.array(json.dumps(self.descriptor.to_dict())),
                weights=self.weights,
                intercepts=self.intercepts,
            )

    def compute(self, neighbors: Any, *, virials: bool = False, threads: int = 0) -> Result:
        """Energy, forces and virial on a neighbor table; see :class:`~mdkern.potentials.base.Result`."""
        gradient, per_atom, energies = self.descriptor.weighted(neighbors, self.weights, threads)
        energies = energies + self.intercepts[neighbors.species]
        w = per_atom.reshape(-1, 3, 3)
        w = 0.5 * (w + w.transpose(0, 2, 1))
        voigt = w[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        return Result(
            float(energies.sum()),
            energies,
            -gradient,
            voigt.sum(axis=0),
            voigt if virials else None,
        )


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Any, Any]:
    """Description, weights and intercepts of a file, whose content is not trusted."""
    name = os.fspath(path)
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
        if size > _MAX_BYTES:
            raise FormatError(f"{size} bytes unpacked; expected at most {_MAX_BYTES}", path=name)
        with np.load(path, allow_pickle=False) as data:
            missing = {"format", "descriptor", "weights", "intercepts"} - set(data.files)
            if missing:
                raise FormatError(f"no array {min(missing)!r}: not a linear model", path=name)
            if str(data["format"]) != _FORMAT:
                raise FormatError(
                    f"format {str(data['format'])!r}; expected {_FORMAT!r}", path=name
                )
            description = json.loads(str(data["descriptor"]))
            weights, intercepts = data["weights"], data["intercepts"]
    except (zipfile.BadZipFile, ValueError, EOFError, KeyError, zipfile.LargeZipFile) as e:
        if isinstance(e, FormatError):
            raise
        raise FormatError(f"not a linear model: {e}", path=name) from None
    if not isinstance(description, dict):
        raise FormatError("descriptor: expected a JSON object", path=name)
    for label, a in (("weights", weights), ("intercepts", intercepts)):
        if a.dtype.kind not in "fiu":
            raise FormatError(f"{label}: {a.dtype} array; expected numbers", path=name)
    return description, weights, intercepts
