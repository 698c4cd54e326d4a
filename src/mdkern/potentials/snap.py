"""Spectral neighbor analysis potentials."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ase.data import atomic_numbers

from mdkern import checks
from mdkern.errors import UnsupportedError
from mdkern.io.snap import SnapModel, read_snap
from mdkern.potentials.base import InCore

__all__ = ["SNAP", "basis_fields"]


class SNAP(InCore):
    r"""Spectral neighbor analysis potential (SNAP), linear or quadratic in the bispectrum.

    .. math:: E = \sum_i \Big( c_0 + \sum_k c_k B_k(i) + \tfrac12 \sum_{kl} c_{kl} B_k(i) B_l(i) \Big)

    (A. P. Thompson et al., J. Comput. Phys. 285, 316 (2015); quadratic: M. A. Wood and A. P. Thompson, J. Chem. Phys. 148, 241721
    (2018); explicit elements: M. A. Cusentino et al., J. Phys. Chem. A 124, 5456 (2020).) B are the components of the bispectrum of
    the density of neighbors, see :class:`mdkern.descriptors.Bispectrum`; c are those of the atom's element. Coefficients of components
    that are equal by symmetry are replaced by their mean, so that forces are the gradient of the energy whatever the file has.

    Parameters
    ----------
    coeff_path : str
        ``.snapcoeff`` file; or the ``.snapparam``, the files are told apart by content; or `source` of another SNAP.
    param_path : str, optional
        The other file. By default it has the same name with the other ending.
    elements : sequence of str, optional
        Use only these elements of the file. By default all; with ``chemflag 1`` all are needed.
    zbl : dict, optional
        ``{"inner": 4.0, "outer": 4.8, "z": {"W": 74}}``: add the repulsion :class:`ZBL` between these distances in Angstrom, as many
        published potentials need it; `z`, the charges of the nuclei, are atomic numbers by default.

    Raises
    ------
    FormatError, UnsupportedError, OSError
        From reading the files.
    ValueError
        Elements that the file does not have; parameters of `zbl` out of range.
    """

    core_name = "snap"

    def __init__(
        self,
        coeff_path: str | os.PathLike[str] | SnapModel,
        param_path: str | os.PathLike[str] | None = None,
        elements: Sequence[str] | None = None,
        zbl: Mapping[str, Any] | None = None,
        *,
        precision: str = "double",
    ) -> None:
        # Every potential takes it; this one has no choice to offer.
        checks.double_only("SNAP", precision)
        if isinstance(coeff_path, SnapModel):
            if param_path is not None:
                raise ValueError("param_path: given together with a model that was read already")
            #: What the files have, all elements.
            self.source = coeff_path
        else:
            self.source = read_snap(coeff_path, param_path)
        #: What is used of it.
        self.model = _select(self.source, elements)
        self.species: tuple[str, ...] | None = self.model.species
        self.cutoff = self.model.cutoff
        self.zbl: dict[str, Any] | None = None
        if zbl is not None:
            self.zbl = _repulsion(zbl, self.model.species)
            self.cutoff = max(self.cutoff, self.zbl["outer"])
        self.make()

    def fields(self) -> dict[str, Any]:
        """Parameters of the core (cpp/potentials/snap.cpp); with `zbl` those of the sum of both."""
        snap = {
            "basis": basis_fields(self.model, np.arange(len(self.model.species))),
            "coefficients": self.model.coefficients,
        }
        if self.zbl is None:
            return snap
        return {
            "potential": "sum",
            "parts": [{"potential": "snap"} | snap, {"potential": "zbl"} | self.zbl],
            "weights": np.ones(2),
        }


def basis_fields(model: SnapModel, block: Any) -> dict[str, Any]:
    """What the core makes the bispectrum from (cpp/descriptors/bispectrum_model.hpp).

    `block`: with ``model.chem`` the place of each element in the order of components.
    """
    of_elements = np.asarray(block, dtype=np.int32)
    fields: dict[str, Any] = {
        "kind": "bispectrum",
        "twojmax": model.twojmax,
        "block": of_elements if model.chem else np.zeros_like(of_elements),
        "radii": model.radii,
        "weights": model.weights,
        "rcutfac": model.rcutfac,
        "rfac0": model.rfac0,
        "rmin0": model.rmin0,
    }
    for name in ("switch", "bzero", "quadratic", "chem", "bnorm", "wselfall"):
        fields[name] = getattr(model, name)
    if model.sinner is not None:
        fields |= {"sinner": model.sinner, "dinner": model.dinner}
    return fields


def _select(model: SnapModel, elements: Sequence[str] | None) -> SnapModel:
    """The elements to use."""
    if elements is None:
        elements = model.species
        others = [name for name in elements if not atomic_numbers.get(name)]
        if others:
            raise UnsupportedError(
                f"{model.path}: types {', '.join(others)} are no chemical elements; name the types to use by elements="
            )
    elements = checks.elements(elements)
    for name in elements:
        if name not in model.species:
            raise ValueError(
                f"elements: {name!r} is not in {model.path}, which has {', '.join(model.species)}"
            )
        if not atomic_numbers.get(name):
            raise ValueError(f"elements: {name!r}; expected chemical symbols")
    if model.chem:
        if set(elements) != set(model.species):
            raise ValueError(
                f"elements: {list(elements)}; expected all of {', '.join(model.species)}, as chemflag is 1 in {model.path}"
            )
        return model  # components are in the order of the file
    k = [model.species.index(name) for name in elements]

    def of(values: Any) -> Any:
        return None if values is None else values[k]

    return replace(
        model,
        species=tuple(elements),
        radii=of(model.radii),
        weights=of(model.weights),
        coefficients=of(model.coefficients),
        sinner=of(model.sinner),
        dinner=of(model.dinner),
    )


def _repulsion(zbl: Mapping[str, Any], species: tuple[str, ...]) -> dict[str, Any]:
    """Fields of the core's ZBL for these species."""
    given: Any = zbl
    if (
        not isinstance(given, Mapping)
        or not {"inner", "outer"} <= set(zbl)
        or set(zbl) - {"inner", "outer", "z"}
    ):
        raise ValueError(f"zbl: {zbl!r}; expected a dict of inner, outer and perhaps z")
    z = zbl.get("z")
    if z is None:
        z = {name: float(atomic_numbers[name]) for name in species}
    missing = [name for name in species if not isinstance(z, Mapping) or name not in z]
    if missing:
        raise ValueError(f"zbl: z: {z!r}; expected the charge of {', '.join(missing)} too")
    inner, outer = (
        checks.positive("zbl: inner", zbl["inner"]),
        checks.positive("zbl: outer", zbl["outer"]),
    )
    if not inner < outer:
        raise ValueError(f"zbl: inner: {inner}; expected less than outer, {outer}")
    charges = np.array([checks.positive("zbl: z", z[name], f" for {name}") for name in species])
    return {"inner": inner, "outer": outer, "charges": charges}
