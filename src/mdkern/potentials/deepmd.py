"""Deep Potential models of DeePMD-kit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdkern import _core, checks
from mdkern.errors import UnsupportedError
from mdkern.io.deepmd import read_deepmd
from mdkern.io.deepmd_models import (
    DeepModel,
    Descriptor,
    Fitting,
    Hybrid,
    PairTab,
    SeA,
    StandardModel,
    ZblModel,
)
from mdkern.potentials.base import InCore, say_once
from mdkern.potentials.deepmd_kinds import (
    blended_fields,
    descriptor_fields,
    net_fields,
    part_of,
    sum_fields,
    table_fields,
)

__all__ = ["DeepPotential", "descriptors_of", "fields_of"]

Array = NDArray[Any]


class DeepPotential(InCore):
    r"""Deep Potential of DeePMD-kit.

    .. math:: E = \sum_i \mathcal N_{t_i}(D_i) + b_{t_i}

    with descriptors D of the neighbors within the cutoff (L. Zhang et al., Phys. Rev. Lett. 120, 143001 (2018) and
    NeurIPS 2018). Energies of atoms and, as DeePMD-kit has them, virials of atoms credited to the neighbor of each pair;
    ``stresses`` has their symmetric part.

    Parameters
    ----------
    path : str
        A ``.dp``, ``.yaml`` or ``.json`` file; ``dp convert-backend MODEL model.dp`` makes one of other files. Or what
        :func:`mdkern.io.deepmd.read_deepmd` made of one: `model` of another potential.
    tabulate : bool
        Replace embedding nets by piecewise quintic polynomials, which are made when the model is loaded: forces change by
        less than 1e-9 of the largest, and neighbors that are closer than half the shortest distance of the training data go
        through the net. Nets whose activation is not smooth stay as they are; see ``tabulated``.
    precision : {"double", "single"}
        Of the nets. With "single", positions are subtracted and energies and forces added up in double.
    fparam : sequence of float, optional
        Frame parameters, where the model has some and brings no default.

    Raises
    ------
    FormatError
        The file does not follow the format.
    UnsupportedError
        The model asks for something that is not evaluated; names the key and its value.
    OSError
        The file cannot be read.
    """

    core_name = "deep_potential"

    def __init__(
        self,
        path: str | os.PathLike[str] | DeepModel,
        *,
        tabulate: bool = True,
        precision: str = "double",
        fparam: Sequence[float] | None = None,
    ) -> None:
        self.model = path if isinstance(path, DeepModel) else read_deepmd(path)
        self.tabulate = checks.flag("tabulate", tabulate)
        self.precision = checks.precision(precision)
        self.fparam = None if fparam is None else tuple(float(x) for x in fparam)
        self.species: tuple[str, ...] = self.model.species
        self.cutoff: float = self.model.cutoff
        self.make()

    def make(self) -> None:
        """Make the core's potential from the present parameters."""
        message = (
            f"{self.model.path}: more neighbors than sel has room for; the farthest are left out, and energies "
            "jump when neighbors change places"
        )
        self._unsaid = [message]
        super().make()

    def fields(self) -> dict[str, Any]:
        """What the core makes the potential from (``cpp/potentials/deepmd``), of the kind of the model."""
        return fields_of(
            self.model, tabulate=self.tabulate, precision=self.precision, fparam=self.fparam
        )

    @property
    def source(self) -> DeepModel:
        """The model as read."""
        return self.model

    @property
    def tabulated(self) -> bool:
        """Whether embedding nets are evaluated from tables."""
        return bool(self._kernel.tabulated)

    def warn(self, overflow: bool) -> None:
        """Say once what :attr:`Result.overflow` means; for who evaluates by :meth:`force_step`."""
        if overflow:
            say_once(self._unsaid)


def fields_of(
    model: DeepModel,
    *,
    tabulate: bool = True,
    precision: str = "double",
    fparam: Sequence[float] | None = None,
) -> dict[str, Any]:
    """The model as the core takes it, with the name of its potential."""
    m, path = model.model, model.path
    shortest = r_table(model) if tabulate else 0.0
    single = precision == "single"
    if isinstance(m, StandardModel):
        return _standard_fields(m, shortest, single, fparam, path)
    if isinstance(m, PairTab):
        return table_fields(m)
    if isinstance(m, ZblModel):
        net = _standard_fields(part_of(m, m.model), shortest, single, fparam, path)
        return sum_fields(m, [blended_fields(m, net, table_fields(part_of(m, m.table)))], [1.0])
    parts = [
        table_fields(part_of(m, x))
        if isinstance(x, PairTab)
        else _standard_fields(part_of(m, x), shortest, single, fparam, path)
        for x in m.models
    ]
    return sum_fields(m, parts, [float(w) for w in m.weights])


def _standard_fields(
    m: StandardModel, shortest: float, single: bool, fparam: Sequence[float] | None, path: str
) -> dict[str, Any]:
    tail = _tail(m.fitting, fparam)
    nets = [net_fields(net) for net in m.fitting.nets]
    bias = m.out_bias + m.fitting.bias
    silent = np.zeros(len(m.type_map), dtype=np.bool_)
    for t in range(len(bias)):
        if m.fitting.zero[t]:
            nothing = np.concatenate([np.zeros(m.descriptor.width), tail])
            bias[t] -= _core.net_value(nets[0 if m.fitting.mixed_types else t], nothing)[0]
        if t in m.fitting.exclude_types:
            silent[t], bias[t] = True, m.out_bias[t]
        if t in m.atom_exclude:
            silent[t], bias[t] = True, 0.0
    return {
        "potential": "deep_potential",
        "descriptors": descriptors_of(m, shortest, path),
        "fitting": nets,
        "bias": bias,
        "silent": silent,
        "tail": np.tile(tail, (len(bias), 1)),
        "single": single,
    }


def r_table(model: DeepModel) -> float:
    """Distance from which on tables hold, in Angstrom: half the shortest of the training data."""
    closest = 1.0 if model.min_nbor_dist is None else model.min_nbor_dist
    return float(min(max(0.5 * closest, 0.2), 0.5 * model.cutoff))


def descriptors_of(model: StandardModel, shortest: float, path: str) -> list[dict[str, Any]]:
    """The fields of the descriptors, side by side; tables from `shortest` on, none where it is 0."""
    n = len(model.type_map)
    removed = _pairs(model.pair_exclude, n)
    d: Descriptor = model.descriptor
    parts = d.parts if isinstance(d, Hybrid) else (d,)
    listed = int(np.sum(d.sel))
    return [_descriptor(part, removed, listed, shortest, path) for part in parts]


def _descriptor(
    d: Any, removed: Array | None, listed: int, shortest: float, path: str
) -> dict[str, Any]:
    environment = _environment(d, removed, path) | {"n_listed": listed}
    if isinstance(d, SeA):
        return {
            "kind": "se_a",
            "environment": environment,
            "axis": d.axis_neuron,
            "one_side": d.one_side,
            "nets": [net_fields(net) for net in d.nets],
            "r_table": shortest,
        }
    return descriptor_fields(d, environment, shortest, path)


def _environment(d: Any, removed: Array | None, path: str) -> dict[str, Any]:
    """What every descriptor has: cutoff, slots, normalisation, pairs that are left out."""
    n, columns = d.davg.shape
    if columns > 1 and np.any(d.davg[:, 1:] != 0.0):
        raise UnsupportedError(
            f"{path}: model.descriptor.@variables.davg: means of vectors other than 0 are not evaluated"
        )
    std = np.ones((n, 4))
    std[:, :columns] = d.dstd
    return {
        "r_cut": d.r_cut,
        "r_cut_smth": d.r_cut_smth,
        "protection": d.protection,
        "sel": np.ascontiguousarray(d.sel, dtype=np.int32),
        "mean": np.ascontiguousarray(d.davg[:, 0]),
        "std": std,
        "excluded": _pairs(d.exclude, n),
        "removed": removed,
    }


def _pairs(pairs: tuple[tuple[int, int], ...], n: int) -> Array | None:
    if not pairs:
        return None
    table = np.zeros((n, n), dtype=np.bool_)
    for a, b in pairs:
        table[a, b] = table[b, a] = True
    return table


def _tail(fitting: Fitting, fparam: Sequence[float] | None) -> Array:
    """What frame parameters append to every descriptor."""
    n = len(fitting.fparam_avg)
    given = fitting.fparam if fparam is None else checks.numbers("fparam", fparam)
    if n and given is None:
        raise ValueError(f"fparam: None; the model has {n} frame parameters and no default")
    if given is None:
        return np.zeros(0)
    if given.shape != (n,) or not np.isfinite(given).all():
        raise ValueError(f"fparam: {given.tolist()}; expected {n} finite numbers")
    return np.asarray((given - fitting.fparam_avg) * fitting.fparam_inv_std)
