"""From LAMMPS's types to the species of a potential."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern import checks

__all__ = ["elements_of"]

_MASS_TOLERANCE = 0.1  # u; neighbors in the periodic table are further apart, Co and Ni by 0.24


def elements_of(
    lmp: Any, calculator: Any, types: Sequence[str | None] | None
) -> tuple[tuple[str | None, ...], NDArray[np.int32]]:
    """Element of each type, and the potential's species number by type, which begins with 1; -1: takes no part.

    Raises
    ------
    ValueError
        `types` that do not fit; None, where labels and masses do not tell the elements.
    """
    from ase.data import atomic_numbers

    n = lmp.extract_setting("ntypes")
    elements: tuple[str | None, ...]
    if types is None:
        elements = tuple(_guess(lmp, t, calculator.species) for t in range(1, n + 1))
    elif isinstance(types, str) or len(types) != n:
        raise ValueError(f"types: {checks.shown(types)}; expected a list of {n}, a chemical symbol or None for each LAMMPS type")  # fmt: skip
    else:
        elements = tuple(types)
    kinds = np.full(n + 1, -1, dtype=np.int32)
    for t, symbol in enumerate(elements, 1):
        if symbol is None:
            continue
        if symbol not in (calculator.species or atomic_numbers):
            have = ", ".join(calculator.species or ["any element"])
            raise ValueError(f"types[{t - 1}]: {symbol!r}; the potential has {have}")
        kinds[t] = calculator.species_map(np.array([atomic_numbers[symbol]]))[0]
    return elements, kinds


def _guess(lmp: Any, t: int, species: tuple[str, ...] | None) -> str:
    """The element of a LAMMPS type, by its label or its mass."""
    from ase.data import atomic_masses, chemical_symbols

    if species is None:
        return "X"  # any element, all alike
    for symbol in species:
        if _label(lmp, symbol) == t:
            return symbol
    masses = lmp.numpy.extract_atom("mass")
    mass = 0.0 if masses is None else float(masses[t])
    near = [s for s in species if abs(atomic_masses[chemical_symbols.index(s)] - mass) < _MASS_TOLERANCE]  # fmt: skip
    if len(near) != 1:
        raise ValueError(
            f"types: LAMMPS type {t} has no label among {', '.join(species)}, and its mass {mass:g} is that of "
            f"{' and '.join(near) or 'none of them'}; expected types=[...], a chemical symbol or None for each type"
        )
    return near[0]


def _label(lmp: Any, symbol: str) -> int:
    """The LAMMPS type with this label; 0: none."""
    try:
        if lmp.eval(f"is_typelabel(atom,{symbol})"):
            return int(lmp.eval(f"label2type(atom,{symbol})"))
    except Exception:  # noqa: BLE001 - LAMMPS's own, where there is no map of labels
        return 0
    return 0
