"""Fitting models to energies, forces and stresses."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from mdkern import checks
from mdkern.descriptors import Descriptor
from mdkern.potentials import LinearModel

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["LinearFit", "errors", "fit_linear"]

Float = NDArray[np.float64]
_VOIGT = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])


@dataclass(frozen=True)
class LinearFit:
    """A fitted model, and how well it fits.

    Attributes
    ----------
    model : LinearModel
        The potential, as :attr:`mdkern.calculators.Calculator.potential` has it.
    alpha : float
        Strength of the ridge that was used.
    train, validation : dict
        Root mean square errors: ``energy`` (eV per atom), ``forces`` (eV/Angstrom), ``stress`` (eV/Angstrom^3), and
        ``force_spread``, the standard deviation of the reference forces. `validation` is empty without validation frames.
    seconds : float
        That the fit took.
    """

    model: LinearModel
    alpha: float
    train: dict[str, float]
    validation: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def calculator(self, **kwargs: Any) -> Any:
        """:class:`mdkern.calculators.LinearModel` with this model."""
        from mdkern.calculators import LinearModel as LinearCalculator

        m = self.model
        return LinearCalculator(m.descriptor, m.weights, m.intercepts, **kwargs)


@dataclass(frozen=True)
class _Rows:
    """Linear equations of one frame: energy, forces, stress; None where the frame has no such data."""

    n: int
    energy: tuple[Float, float] | None  # (columns,)
    forces: tuple[Float, Float] | None  # (3 n, columns)
    stress: tuple[Float, Float] | None  # (6, columns)


def fit_linear(
    frames: Sequence[Atoms],
    descriptor: Descriptor,
    *,
    alpha: float | Sequence[float] = 1e-6,
    energy_weight: float = 1.0,
    force_weight: float = 0.1,
    stress_weight: float = 1.0,
    validation: Sequence[Atoms] | None = None,
    threads: int | None = None,
) -> LinearFit:
    r"""Ridge regression of a :class:`~mdkern.potentials.LinearModel` to energies, forces and stresses.

    .. math:: \sum_{\mathrm{frames}} \left[ w_E^2 \Big(\frac{\Delta E}{n}\Big)^2
              + w_F^2 \frac{|\Delta F|^2}{3 n} + w_S^2 |\Delta \sigma|^2 \right] N_{\mathrm{frames}}^{-1}
              + \alpha \sum_k (s_k w_k)^2

    with :math:`s_k` the spread of feature k over the atoms, so that `alpha` does not depend on units of features.

    Parameters
    ----------
    frames : list of ase.Atoms
        With energies (eV), and forces (eV/Angstrom) and stresses (eV/Angstrom^3) where they have them, as results of
        a calculator.
    descriptor : Descriptor
        ``periodic=True``, ``average="off"``.
    alpha : float or list of float
        Strength of the ridge. Of several the one with the smallest error of `validation` is taken.
    energy_weight, force_weight, stress_weight : float
        Per eV per atom, eV/Angstrom and eV/Angstrom^3. 0 leaves the data out.
    validation : list of ase.Atoms, optional
        Frames that are not fitted, for their errors and the choice of `alpha`.
    threads : int, optional

    Returns
    -------
    LinearFit

    Raises
    ------
    ValueError
        No frames, no data to fit, a frame without energy and forces, several alphas without validation frames.
    """
    begin = time.perf_counter()
    frames = checks.structures("frames", frames, same=True)
    held = [] if validation is None else checks.structures("validation", validation, same=True)
    if not frames:
        raise ValueError("frames: empty; expected at least one structure")
    given = [alpha] if checks.is_single(alpha) else list(alpha)  # type: ignore[arg-type]
    alphas = [checks.positive("alpha", a) for a in given]
    if not alphas:
        raise ValueError("alpha: empty; expected positive numbers")
    if len(alphas) > 1 and not held:
        raise ValueError("alpha: several given; expected `validation` frames to choose by")
    for name, w in (("energy", energy_weight), ("force", force_weight), ("stress", stress_weight)):
        checks.not_negative(f"{name}_weight", w)
    LinearModel(
        descriptor, np.zeros(descriptor.get_number_of_features())
    )  # complains of a wrong one
    team = checks.threads(threads)
    weights = (energy_weight, force_weight, stress_weight)
    rows = [_rows(a, k, descriptor, weights, team) for k, a in enumerate(frames)]
    normal, right = _normal_equations(rows, weights)
    scale = _spread(frames, descriptor, team)
    held_rows = [_rows(a, k, descriptor, (1.0, 1.0, 1.0), team) for k, a in enumerate(held)]
    best: tuple[float, float, Float] | None = None
    for value in alphas:
        x = _solve(normal, right, scale, value)
        score = _score(held_rows, x) if held else 0.0
        if best is None or score < best[0]:
            best = (score, value, x)
    assert best is not None
    n, f = len(descriptor.species), descriptor.get_number_of_features()
    x = best[2]
    model = LinearModel(descriptor, x[: n * f].reshape(n, f), x[n * f :])
    return LinearFit(
        model,
        best[1],
        _errors([_predict(r, x) for r in rows]),
        _errors([_predict(r, x) for r in held_rows]) if held else {},
        time.perf_counter() - begin,
    )


def errors(frames: Sequence[Atoms], calculator: Any) -> dict[str, float]:
    """Root mean square errors of a calculator on frames that carry reference results.

    Parameters
    ----------
    frames : list of ase.Atoms
        With energies (eV), forces (eV/Angstrom) and stresses (eV/Angstrom^3) as results of a calculator, as far as they have them.
    calculator : mdkern.calculators.Calculator
        What is compared with them.

    Returns
    -------
    dict
        As ``train`` of :class:`LinearFit`.
    """
    parts = []
    for k, a in enumerate(checks.structures("frames", frames, same=True)):
        known = _data(a, k)
        b = a.copy()
        b.set_constraint()  # results are without what these add and take off
        b.calc = calculator
        energy = None
        if "energy" in known:
            energy = (b.get_potential_energy() - known["energy"]) / len(a)
        forces = stress = None
        if "forces" in known:
            forces = (b.get_forces() - known["forces"], known["forces"])
        if "stress" in known:
            stress = b.get_stress() - known["stress"]
        parts.append((energy, forces, stress))
    return _errors(parts)


def _data(a: Atoms, k: int) -> dict[str, Any]:
    """Results of the calculator of frame k; ValueError where they are those of other atoms."""
    names = ("energy", "forces", "stress")
    results = {} if a.calc is None else a.calc.results
    found = {name: results[name] for name in names if results.get(name) is not None}
    changed = a.calc.check_state(a) if found and hasattr(a.calc, "check_state") else []
    if changed:
        raise ValueError(
            f"frame {k}: other {', '.join(changed)} than those that the results of its calculator belong to; expected "
            "results of its own, as ase.calculators.singlepoint.SinglePointCalculator keeps them"
        )
    return found


def _rows(a: Atoms, k: int, descriptor: Descriptor, weights: Any, team: int) -> _Rows:
    known = _data(a, k)
    if not known:
        raise ValueError(
            f"frame {k}: no energy, forces or stress among the results of its calculator"
        )
    for name, value in known.items():
        if not np.isfinite(value).all():
            raise ValueError(f"frame {k}: {name} is not finite")
    n, species = len(a), descriptor.species
    unknown = np.flatnonzero(~np.isin(a.numbers, species))
    if len(unknown):
        symbol = a.symbols[unknown[0]]
        names = ", ".join(chemical_symbols[z] for z in species)
        raise ValueError(
            f"frame {k}: atom {unknown[0]} is {symbol}; expected the elements of the descriptor, {names}"
        )
    f = descriptor.get_number_of_features()
    size = len(species) * (f + 1)
    energy, forces, stress = np.zeros(size), np.zeros((3 * n, size)), np.zeros((3, 3, size))
    for z, number in enumerate(species):
        at = np.flatnonzero(a.numbers == number)
        if not len(at):
            continue
        env = descriptor.environments(a, at, team)
        part = slice(z * f, (z + 1) * f)
        energy[part], gradient, strain = descriptor.summed(env, team)
        energy[len(species) * f + z] = len(at)
        forces[:, part] = -gradient.reshape(3 * n, f)
        stress[:, :, part] = strain
    both = 0.5 * (stress + stress.transpose(1, 0, 2))
    wanted = [w > 0 for w in weights]
    return _Rows(
        n,
        (energy, float(known["energy"])) if wanted[0] and "energy" in known else None,
        (forces, np.ravel(known["forces"])) if wanted[1] and "forces" in known else None,
        (both[_VOIGT] / a.get_volume(), np.asarray(known["stress"]))
        if wanted[2] and "stress" in known
        else None,
    )


def _normal_equations(rows: list[_Rows], weights: Any) -> tuple[Float, Float]:
    normal = right = None
    for r in rows:
        for data, w in (
            (r.energy, weights[0] / r.n),
            (r.forces, weights[1] / np.sqrt(3 * r.n)),
            (r.stress, weights[2]),
        ):
            if data is None:
                continue
            m, y = np.atleast_2d(data[0]) * w, np.atleast_1d(data[1]) * w
            add, add_right = m.T @ m, m.T @ y
            normal = add if normal is None else normal + add
            right = add_right if right is None else right + add_right
    if normal is None or right is None:
        raise ValueError("frames: none has data with a weight above zero")
    return normal / len(rows), right / len(rows)


def _spread(frames: list[Atoms], descriptor: Descriptor, team: int) -> Float:
    """Standard deviation of each feature for each element; of features that do not vary, 1. Intercepts: 0."""
    some = frames[:: max(1, len(frames) // 20)]
    values = [np.asarray(descriptor.create(a, threads=team or None)) for a in some]
    all_values = np.concatenate(values)
    numbers = np.concatenate([a.numbers for a in some])
    out = []
    for z in descriptor.species:
        of = all_values[numbers == z]
        s = of.std(axis=0) if len(of) else np.zeros(all_values.shape[1])
        out.append(np.where(s > 1e-12 * np.abs(all_values).max(), s, 1.0))
    return np.concatenate([*out, np.zeros(len(descriptor.species))])


def _solve(normal: Float, right: Float, scale: Float, alpha: float) -> Float:
    """Solution of the scaled equations; intercepts that the data do not tell apart get the smallest values."""
    inverse = np.where(scale > 0, 1.0 / np.where(scale > 0, scale, 1.0), 1.0)
    m = normal * inverse[:, None] * inverse
    ridge = np.where(scale > 0, alpha, 1e-12 * max(1.0, float(np.trace(m)) / len(m)))
    m[np.diag_indices_from(m)] += ridge
    return np.asarray(np.linalg.solve(m, right * inverse) * inverse, dtype=np.float64)


def _predict(r: _Rows, x: Float) -> tuple[Any, Any, Any]:
    """Deviations of energy per atom, forces (with the reference), stress."""
    energy = None if r.energy is None else (r.energy[0] @ x - r.energy[1]) / r.n
    forces = None if r.forces is None else (r.forces[0] @ x - r.forces[1], r.forces[1])
    stress = None if r.stress is None else r.stress[0] @ x - r.stress[1]
    return energy, forces, stress


def _score(rows: list[_Rows], x: Float) -> float:
    e = _errors([_predict(r, x) for r in rows])
    return e.get("forces", e.get("energy", 0.0))


def _errors(parts: list[tuple[Any, Any, Any]]) -> dict[str, float]:
    def rms(values: list[Any]) -> float:
        return float(np.sqrt(np.mean(np.concatenate([np.ravel(v) for v in values]) ** 2)))

    out = {}
    energies = [e for e, _, _ in parts if e is not None]
    forces = [f for _, f, _ in parts if f is not None]
    stresses = [s for _, _, s in parts if s is not None]
    if energies:
        out["energy"] = rms(energies)
    if forces:
        out["forces"] = rms([d for d, _ in forces])
        out["force_spread"] = float(np.std(np.concatenate([np.ravel(f) for _, f in forces])))
    if stresses:
        out["stress"] = rms(stresses)
    return out
