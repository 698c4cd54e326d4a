"""Reference values that frames carry, by the names under which codes of this field write them.

ASE's readers put what they know into a calculator's results and leave everything else in ``info`` and ``arrays``. Names are compared
without regard to case. Of several, the first of the list counts; explicit references (``REF_``, ``DFT_``) go before plain names, which may be a
potential's results.

Energies in eV, forces in eV/Angstrom, charges in e. A stress is ASE's: eV/Angstrom^3, tension positive. A virial is that of GPUMD, QUIP,
MACE, NequIP and DeePMD-kit alike: eV, ``-volume * stress``. Six numbers are in ASE's order xx, yy, zz, yz, xz, xy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mdkern.errors import FormatError

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["KEYS", "QUANTITIES", "Labels", "drop_labels", "read_labels"]

QUANTITIES = ("energy", "forces", "stress", "charges")
"""What frames may have reference values of."""
KEYS = ("energy", "forces", "stress", "virial", "charges")
"""What the caller may name the entries of, in a file."""

_VIRIALS = (
    "ref_virial",
    "ref_virials",
    "dft_virial",
    "dft_virials",
    "virial_dft",
    "virial",
    "virials",
)
# In the order of precedence, in lower case. GPUMD too takes a virial before a stress.
NAMES: dict[str, tuple[str, ...]] = {
    "energy": ("ref_energy", "dft_energy", "energy_dft", "energy", "total_energy", "potential_energy", "free_energy"),
    "forces": ("ref_forces", "ref_force", "dft_forces", "dft_force", "forces_dft", "force_dft", "forces", "force"),
    "stress": ("ref_stress", *_VIRIALS[:2], "dft_stress", "stress_dft", *_VIRIALS[2:], "stress"),
    "charges": ("ref_charges", "charges"),
}  # fmt: skip
# Parts of names that look like labels.
_LOOKS = ("energy", "energies", "force", "stress", "virial", "dipole", "charge", "bec", "born")
# What is no label, though it looks like one.
_NO_LABELS = ("weight", "has_", "is_", "unit", "mask", "initial_", "total_charge", "mmcharge")
_PER_ATOM = ("forces", "charges")
_SUMMED = ("energies", "stresses", "energy_atom")  # of each atom
_VOIGT = [0, 4, 8, 5, 2, 1]


@dataclass
class Labels:
    """What one frame carries.

    Attributes
    ----------
    values : dict
        ``energy`` (float), ``forces`` (n, 3), ``stress`` (6,), ``charges`` (n,), those that are there, in ASE's units and signs.
        May hold NaN.
    keys : dict
        Under which name each was found.
    differing : dict
        Names of the same quantity with other values, which were not taken.
    unused : dict
        Names that look like labels and were left out, with the reason.
    """

    values: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    differing: dict[str, list[str]] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)


def read_labels(atoms: Atoms, keys: Mapping[str, str] | None = None) -> Labels:
    """Reference values of a frame.

    Parameters
    ----------
    atoms : ase.Atoms
    keys : mapping, optional
        Names to take for some of `KEYS`; ``"none"`` leaves that kind out. At most one of ``stress`` and ``virial`` names something.

    Raises
    ------
    FormatError
        The value of a name that was asked for has another shape.
    ValueError
        Names for both ``stress`` and ``virial``.
    """
    keys = dict(keys or {})
    results = {} if atoms.calc is None else atoms.calc.results
    of_frame, of_atoms = {**atoms.info, **results}, {**atoms.arrays, **results}
    labels = Labels()
    taken: set[str] = set()
    for quantity in QUANTITIES:
        there = of_atoms if quantity in _PER_ATOM else of_frame
        known, asked = _known(there, quantity), _asked(quantity, keys)
        taken |= {name for _, name in known}
        if asked:
            there = {**of_frame, **of_atoms}
            known = [asked] if asked[1] in there else []
            taken.add(asked[1])
        found: list[tuple[str, Any]] = []
        for kind, name in known:
            if keys.get(kind) == "none":
                continue
            value = _value(atoms, kind, name, there[name], asked is not None)
            if not isinstance(value, _Wrong):
                found.append((name, value))
            elif asked:
                raise FormatError(f"{name}: {value}")
            else:
                labels.unused[name] = value
        if found:
            labels.keys[quantity], labels.values[quantity] = found[0]
            others = [name for name, value in found[1:] if not _same(value, found[0][1])]
            if others:
                labels.differing[quantity] = others
    for name, value in (*of_frame.items(), *of_atoms.items()):
        if name not in taken and _looks(str(name), value):
            labels.unused[str(name)] = "per atom" if name in _SUMMED else "not a known name"
    return labels


def drop_labels(atoms: Atoms) -> None:
    """Remove reference values of known names from atoms that are to move: they would be those of other positions."""
    known = {name for names in NAMES.values() for name in names} | {*_SUMMED}
    for entries in (atoms.info, atoms.arrays):
        for name in [name for name in entries if str(name).lower() in known]:
            del entries[name]


def _asked(quantity: str, keys: Mapping[str, str]) -> tuple[str, str] | None:
    """Kind and name that the user gave."""
    kinds = ("stress", "virial") if quantity == "stress" else (quantity,)
    asked = [(kind, keys[kind]) for kind in kinds if keys.get(kind, "none") != "none"]
    if len(asked) > 1:
        raise ValueError(
            f"keys {asked[0][1]} and {asked[1][1]} of stress and virial: expected one of them"
        )
    return asked[0] if asked else None


def _known(there: Mapping[str, Any], quantity: str) -> list[tuple[str, str]]:
    """Kind and name, in the order of precedence."""
    by_case: dict[str, list[str]] = {}
    for name in there:
        by_case.setdefault(str(name).lower(), []).append(name)
    return [
        ("virial" if name in _VIRIALS else quantity, real)
        for name in NAMES[quantity]
        for real in sorted(by_case.get(name, []), key=lambda real: real != name)
    ]


class _Wrong(str):
    """Why a value is none of its quantity."""

    __slots__ = ()


def _value(atoms: Atoms, kind: str, name: str, given: Any, asked: bool) -> Any:
    """In ASE's units and order, or why not."""
    import numpy as np

    n = len(atoms)
    try:
        value = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        return _Wrong("not numbers")
    fits, expected = {
        "energy": (value.size == 1, "one number"),
        "forces": (value.shape == (n, 3), "three numbers per atom"),
        "charges": (value.size == n, "one number per atom"),
    }.get(kind, (np.squeeze(value).shape in ((6,), (9,), (3, 3)), "6 or 9 numbers"))
    if not fits:
        return _Wrong(f"shape {value.shape}; expected {expected}")
    if kind == "energy":
        return float(value.ravel()[0])
    if kind in _PER_ATOM:
        return value if kind == "forces" else value.ravel()
    value = _stress(atoms, kind, value.ravel())
    if name.lower() == "stress" and not asked and "Time" in atoms.info:
        return _without_kinetic(atoms, value)
    return value


def _stress(atoms: Atoms, kind: str, value: Any) -> Any:
    import numpy as np

    volume = abs(float(atoms.cell.volume))
    if value.size == 9:
        full = value.reshape(3, 3)
        if np.abs(full - full.T).max() > 1e-6 + 0.01 * np.abs(full).max():
            return _Wrong("the tensor is not symmetric")
        value = 0.5 * (full + full.T).ravel()[_VOIGT]
    if kind == "virial":
        if volume == 0.0:
            return _Wrong("a virial, and the frame has no volume")
        return value / -volume
    return value


def _without_kinetic(atoms: Atoms, value: Any) -> Any:
    """The stress of a frame of a run of GPUMD, whose entry ``Time`` says that ``stress`` is (virial + sum of m v v) / volume."""
    import numpy as np
    from ase import units

    velocities = atoms.arrays.get("vel")
    if velocities is None or np.shape(velocities) != (len(atoms), 3) or isinstance(value, _Wrong):
        return _Wrong("a pressure with the kinetic part, as GPUMD writes it, and no velocities")
    v = velocities / units.fs
    kinetic = (atoms.get_masses()[:, None] * v).T @ v / abs(float(atoms.cell.volume))
    return kinetic.ravel()[_VOIGT] - value


def _same(a: Any, b: Any) -> bool:
    """To the digits that files have."""
    import numpy as np

    a, b = np.asarray(a), np.asarray(b)
    return bool(np.allclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True))


def _looks(name: str, value: Any) -> bool:
    import numpy as np

    small = name.lower()
    if (
        small == "charge"
        or not any(part in small for part in _LOOKS)
        or any(part in small for part in _NO_LABELS)
    ):
        return False
    try:
        return bool(np.asarray(value).dtype.kind in "fiu")
    except ValueError:
        return False
