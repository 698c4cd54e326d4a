"""Sums of potentials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern import checks
from mdkern.loading import potential_of
from mdkern.potentials.base import InCore, say_once

__all__ = ["Sum"]


class Sum(InCore):
    r"""Several potentials on one neighbor table: a model and dispersion, an overlay at short distance.

    .. math:: E = \sum_k w_k E_k

    Energies of atoms, forces and virials are sums alike. The sum has the elements that all of its parts have, in the order of the first
    part that has elements of its own; its cutoff is the longest. Parts with a shorter one see shorter lists. ``a + b`` of two of
    mdkern's calculators is ``Sum([a, b])``.

    Parameters
    ----------
    parts : list of calculators, potentials or paths
        At least one: mdkern's calculators, or files that :func:`mdkern.load` reads. ``threads`` and ``skin`` are the sum's own.
    weights : sequence of float, optional
        One for each part; by default 1.

    Raises
    ------
    ValueError
        No parts, parts that the core does not evaluate, no element that all have, weights that are not as many
        finite numbers.
    FormatError, UnsupportedError, OSError
        From reading a file.
    """

    core_name = "sum"

    def __init__(
        self,
        parts: Sequence[Any],
        weights: Sequence[float] | None = None,
        *,
        precision: str = "double",
    ) -> None:
        # Every potential takes it; here it is for the parts to choose.
        if precision != "double":
            raise ValueError(
                f"precision: {precision!r}; a Sum is in 'double', its parts in a precision of their own"
            )
        given: Any = parts
        if not isinstance(given, Sequence) or isinstance(given, (str, bytes)) or not given:
            raise ValueError(
                f"parts: {parts!r}; expected a list of calculators or files, not empty"
            )
        self.parts: tuple[Any, ...] = tuple(_part(k, part) for k, part in enumerate(parts))
        w = np.ones(len(parts)) if weights is None else checks.numbers("weights", weights)
        if w.shape != (len(parts),) or not np.isfinite(w).all():
            raise ValueError(f"weights: {weights!r}; expected {len(parts)} finite numbers")
        self.weights: NDArray[np.float64] = w.copy()
        self.species: tuple[str, ...] | None = _common([part.species for part in self.parts])
        self.cutoff: float = max(part.cutoff for part in self.parts)
        message = (
            "a part of the sum met more neighbors than its model has room for, or a density beyond its tables: "
            "evaluated alone, it says which"
        )
        self._unsaid = [message]
        self.make()

    def fields(self) -> dict[str, Any]:
        """Fields of the parts, their weights, and their numbers of the sum's species (cpp/model/sum.cpp)."""
        fields: dict[str, Any] = {
            "parts": [part.core_fields() for part in self.parts],
            "weights": self.weights,
        }
        if self.species is not None:
            fields["species"] = np.array(
                [
                    [0 if part.species is None else part.species.index(x) for x in self.species]
                    for part in self.parts
                ],
                dtype=np.int32,
            )
        return fields

    def made_of(self) -> dict[str, Any]:
        """Arguments that make it again with the parts as they are: whatever has become of calculators and files."""
        return {"parts": self.parts}

    def warn(self, overflow: bool) -> None:
        """Say once what :attr:`Result.overflow` of a part means."""
        if not overflow:
            return
        warning = [part for part in self.parts if type(part).warn is not InCore.warn]
        if len(warning) == 1:  # nobody else can have meant it
            warning[0].warn(overflow)
        else:
            say_once(self._unsaid)


def _part(k: int, model: Any) -> Any:
    name = f"parts[{k}]"
    potential = potential_of(name, model)
    if not hasattr(potential, "core_fields"):
        raise ValueError(
            f"{name}: {type(potential).__name__}; expected a potential that the core evaluates "
            "(ase.calculators.mixing.SumCalculator adds any calculators)"
        )
    return potential


def _common(species: Sequence[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    """The elements that all have; None: any."""
    own = [names for names in species if names is not None]
    if not own:
        return None
    common = tuple(x for x in own[0] if all(x in names for names in own))
    if not common:
        texts = "; ".join(" ".join(names[:8]) + " ..." * (len(names) > 8) for names in own)
        raise ValueError(f"parts: no element that all have: {texts}")
    return common
