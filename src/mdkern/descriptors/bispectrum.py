"""The bispectrum of SNAP."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import ArrayLike, NDArray

from mdkern import _core, checks
from mdkern.descriptors.base import Descriptor, Environments, species_numbers
from mdkern.io.snap import MAX_CUTOFF, MAX_TWOJ, SnapModel, bispectrum_triples, read_snap

__all__ = ["Bispectrum"]

Float = NDArray[np.float64]


class Bispectrum(Descriptor):
    r"""Components of the bispectrum of the density of neighbors, mapped onto the 3-sphere, as in SNAP.

    .. math:: U_j = w_\text{self} 1 + \sum_k w_k s(r_k) u_j(\theta_0, \hat{\mathbf r}_k), \qquad
              B_{j_1 j_2 j} = \sum_{m m'} U_{j m m'}^* \sum C^{jm}_{j_1 m_1 j_2 m_2} C^{jm'}_{j_1 m'_1 j_2 m'_2} U_{j_1 m_1 m'_1} U_{j_2 m_2 m'_2}

    (A. P. Bartok et al., Phys. Rev. Lett. 104, 136403 (2010); A. P. Thompson et al., J. Comput. Phys. 285, 316 (2015).) Dimensionless.
    Values, order and options are those of ``compute sna/atom`` of LAMMPS: for j1 = 0, 1, ..., 2J, j2 = 0 ... j1, j = j1 ... in steps
    of 2 where these three can be coupled.

    Parameters
    ----------
    species : list of str or int
        Elements in the order of `radelem` and `wj`.
    rcutfac : float
        Pairs of elements a and b interact below rcutfac (R_a + R_b), in Angstrom.
    twojmax : int
        2J, the largest angular momentum, doubled.
    radelem, wj : list of float, optional
        R and w of each element; by default 0.5 and 1.
    rfac0 : float
        Largest polar angle on the sphere by pi.
    rmin0 : float
        Distance of the polar angle 0 in Angstrom.
    switchflag, bzeroflag, quadraticflag, bnormflag, wselfallflag : bool, or 0 or 1
        Switch neighbors off towards the cutoff; subtract the components of an atom without neighbors; behind the components half
        of their squares and their products B_k B_l, k < l, by rows; divide components by j + 1; with `chemflag` every density has
        the central atom.
    chemflag : bool, or 0 or 1
        A density for each element: components for all e1, e2, e3 in the order of `species`, e1 outermost.
    sinner, dinner : list of float, optional
        Centre and half width of each element of an inner switching function in Angstrom: neighbors closer than this do not count.
        `switchinnerflag` may say so too.
    periodic, sparse, dtype
        As for :class:`SOAP`.

    Raises
    ------
    ValueError
        A parameter out of range, lists of the wrong length.
    """

    _attach = True
    _points = False

    def __init__(
        self,
        species: Any = None,
        rcutfac: float | None = None,
        twojmax: int | None = None,
        radelem: ArrayLike | None = None,
        wj: ArrayLike | None = None,
        rfac0: float = 0.99363,
        rmin0: float = 0.0,
        switchflag: bool | int = True,
        bzeroflag: bool | int = True,
        quadraticflag: bool | int = False,
        chemflag: bool | int = False,
        bnormflag: bool | int = False,
        wselfallflag: bool | int = False,
        switchinnerflag: bool | int | None = None,
        sinner: ArrayLike | None = None,
        dinner: ArrayLike | None = None,
        periodic: bool = False,
        sparse: bool = False,
        dtype: str = "float64",
    ) -> None:
        self._arguments = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        numbers = _in_order(species)
        n = len(numbers)
        radius = _each("radelem", radelem, n, 0.5, positive=True)
        assert radius is not None
        factor = checks.positive("rcutfac", rcutfac)
        reach = 2.0 * float(radius.max()) * factor
        if not reach <= MAX_CUTOFF:
            raise ValueError(
                f"rcutfac: {factor}; expected cutoffs up to {MAX_CUTOFF:g} Angstrom, this makes {reach:g}"
            )
        super().__init__(numbers, reach, reach, periodic=periodic, sparse=sparse, dtype=dtype)
        self._order = numbers
        two_j = checks.whole("twojmax", twojmax, 0)
        if two_j > MAX_TWOJ:
            raise ValueError(f"twojmax: {two_j}; expected at most {MAX_TWOJ}")
        turn = checks.positive("rfac0", rfac0)
        if turn > 2.0:
            raise ValueError(f"rfac0: {turn}; expected at most 2")
        least = _number("rmin0", rmin0)
        if not least < 2.0 * float(radius.min()) * factor:
            raise ValueError(f"rmin0: {rmin0}; expected less than the smallest cutoff")
        if (sinner is None) != (dinner is None):
            raise ValueError("sinner, dinner: only one of them; expected both or none")
        if switchinnerflag is not None and _flag("switchinnerflag", switchinnerflag) == (
            sinner is None
        ):
            raise ValueError(
                f"switchinnerflag: {switchinnerflag}; expected it with sinner and dinner, and these with it"
            )
        flags = {
            "switch": switchflag,
            "bzero": bzeroflag,
            "quadratic": quadraticflag,
            "chem": chemflag,
            "bnorm": bnormflag,
            "wselfall": wselfallflag,
        }
        #: The same parameters, elements in the given order.
        self.model = SnapModel(
            path="",
            species=tuple(chemical_symbols[z] for z in numbers),
            radii=radius,
            weights=_each("wj", wj, n, 1.0),
            coefficients=np.zeros((n, 1)),
            twojmax=two_j,
            rcutfac=factor,
            rfac0=turn,
            rmin0=least,
            sinner=_each("sinner", sinner, n, None),
            dinner=_each("dinner", dinner, n, None, positive=True),
            **{k: _flag(f"{k}flag", v) for k, v in flags.items()},
        )
        self._kernels = _core.Bispectrum(self.core_fields())

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        param_path: str | os.PathLike[str] | None = None,
        *,
        periodic: bool = True,
        sparse: bool = False,
        dtype: str = "float64",
    ) -> Bispectrum:
        """The descriptor inside a SNAP, of all its elements: arguments and exceptions of :func:`mdkern.io.snap.read_snap`."""
        m = read_snap(path, param_path)
        return cls(
            m.species,
            m.rcutfac,
            m.twojmax,
            radelem=m.radii,
            wj=m.weights,
            rfac0=m.rfac0,
            rmin0=m.rmin0,
            switchflag=m.switch,
            bzeroflag=m.bzero,
            quadraticflag=m.quadratic,
            chemflag=m.chem,
            bnormflag=m.bnorm,
            wselfallflag=m.wselfall,
            sinner=m.sinner,
            dinner=m.dinner,
            periodic=periodic,
            sparse=sparse,
            dtype=dtype,
        )

    def core_fields(self) -> dict[str, Any]:
        """What the core makes the descriptor from (``cpp/descriptors/bispectrum_model.hpp``)."""
        from mdkern.potentials.snap import basis_fields

        block = np.array([self._order.index(z) for z in self.species], dtype=np.int32)
        fields = basis_fields(self.model, block)
        for name in ("radii", "weights", "sinner", "dinner"):
            if name in fields:
                fields[name] = np.ascontiguousarray(fields[name][block])
        return fields

    def __repr__(self) -> str:
        names = ", ".join(f"{k}={v!r}" for k, v in self._arguments.items() if v is not None)
        return f"Bispectrum({names})"

    def feature_names(self) -> list[str]:
        """As "B 2 1 1" (j1, j2, j doubled), with `chemflag` "B In P In 2 1 1", products "B 1 0 1 * B 1 1 2"."""
        e = [f"{x} " for x in self.model.species] if self.model.chem else [""]
        triples = bispectrum_triples(self.model.twojmax)
        names = [
            f"B {a}{b}{c}{j1} {j2} {j}" for a in e for b in e for c in e for j1, j2, j in triples
        ]
        if not self.model.quadratic:
            return names
        pairs = zip(*np.triu_indices(len(names)), strict=True)
        products = [
            f"{names[k]} * {names[m]}" if k != m else f"{names[k]} ^ 2 / 2" for k, m in pairs
        ]
        return names + products

    def _attached(self, attach: bool | None) -> bool:
        if attach is not None and not checks.flag("attach", attach):
            raise ValueError(
                "attach: False; the centers of the bispectrum are atoms and move with them, expected True"
            )
        return True

    def _dense(self, env: Environments, column: Any, attach: bool, out: Any, team: int) -> None:
        self._kernels.dense_jacobian(env.table, env.centers, column, attach, out, team)


def _in_order(species: Any) -> tuple[int, ...]:
    """Atomic numbers as they are given, each once."""
    species_numbers(species)
    numbers = tuple(species_numbers([item])[0] for item in species)
    if len(set(numbers)) != len(numbers):
        raise ValueError(f"species: {list(species)}; expected each element once")
    return numbers


def _flag(name: str, given: Any) -> bool:
    """As files have it, too: 0 or 1."""
    return bool(given) if type(given) is int and given in (0, 1) else checks.flag(name, given)


def _number(name: str, given: Any) -> float:
    values = checks.numbers(name, [given])
    if values.shape != (1,) or not np.isfinite(values).all():
        raise ValueError(f"{name}: {checks.shown(given)}; expected a finite number")
    return float(values[0])


def _each(name: str, given: Any, n: int, default: float | None, positive: bool = False) -> Any:
    """One finite number for each of n elements."""
    if given is None:
        return None if default is None else np.full(n, default)
    values = checks.numbers(name, given)
    if (
        values.shape != (n,)
        or not np.isfinite(values).all()
        or (positive and not (values > 0).all())
    ):
        kind = "positive numbers" if positive else "finite numbers"
        raise ValueError(f"{name}: {checks.shown(given)}; expected {n} {kind}, one per element")
    return values.copy()
