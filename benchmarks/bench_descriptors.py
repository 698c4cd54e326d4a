"""SOAP and ACSF, values and gradients of a weighted sum, by NumPy, every instruction set and DScribe."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from compare_descriptors import ACSF_SETTINGS, SOAP_SETTINGS, dscribe_descriptor, silicon
from ways import quick

import mdkern
from mdkern.bench.interleave import interleave
from mdkern.bench.systems import make
from mdkern.descriptors import ACSF, SOAP
from mdkern.reference.acsf import acsf
from mdkern.reference.soap import soap

NAMES = ("soap", "acsf")
WAYS = ("numpy", "dscribe", *mdkern.info()["isas_supported"])


@cache
def case(name: str) -> tuple[Any, Any, Any, Any]:
    """Atoms, our descriptor, NumPy's (values, gradients), DScribe's or None."""
    if name == "soap":
        atoms = silicon(["Si"], 2 if quick() else 4)
        settings = {k: v for k, v in SOAP_SETTINGS.items() if k != "periodic"}

        def numpy(centers: Any, gradient: bool) -> Any:
            return soap(
                atoms.positions, atoms.cell.array, atoms.pbc, np.zeros(len(atoms), dtype=int), centers,
                n_species=1, gradient=gradient, **settings,
            )  # fmt: skip

        return atoms, SOAP(["Si"], **SOAP_SETTINGS), numpy, dscribe_descriptor("SOAP", species=["Si"], **SOAP_SETTINGS)  # fmt: skip
    atoms = make("water-375" if quick() else "water-3000").atoms
    kinds = np.searchsorted([1, 8], atoms.numbers)

    def numpy_acsf(centers: Any, gradient: bool) -> Any:
        return acsf(
            atoms.positions, atoms.cell.array, atoms.pbc, kinds, centers, n_species=2, r_cut=6.0,
            g2=ACSF_SETTINGS["g2_params"], g4=ACSF_SETTINGS["g4_params"], gradient=gradient,
        )  # fmt: skip

    settings = {"species": ["H", "O"], **ACSF_SETTINGS}
    return atoms, ACSF(**settings), numpy_acsf, dscribe_descriptor("ACSF", **settings)


def centers_of(way: str, atoms: Any) -> list[int]:
    """NumPy takes milliseconds per center: a few of them are enough."""
    return list(range(0, len(atoms), max(1, len(atoms) // (4 if quick() else 16)))) if way == "numpy" else list(range(len(atoms)))  # fmt: skip


@cache
def us_per_center(name: str, what: str) -> dict[str, float]:
    """All ways by turns."""
    atoms, ours, numpy, theirs = case(name)
    active = mdkern.get_isa()
    some = centers_of("numpy", atoms)
    weights = np.random.default_rng(0).normal(size=ours.get_number_of_features())
    calls: dict[str, Any] = {"numpy": lambda: numpy(some, what == "vjp")}
    if theirs is not None and what == "values":
        calls["dscribe"] = lambda: theirs.create(atoms)
    for isa in mdkern.info()["isas_supported"]:
        calls[isa] = (
            (lambda: ours.create(atoms, threads=1))
            if what == "values"
            else (lambda: ours.vjp(atoms, weights, threads=1))
        )
    try:
        turns = interleave(
            calls,
            rounds=3 if quick() else 9,
            budget=2.0 if quick() else 20.0,
            before=lambda way: mdkern.set_isa(
                way if way in mdkern.info()["isas_supported"] else active
            ),
        )
    finally:
        mdkern.set_isa(active)
    return {way: 1e6 * turns.median(way) / len(centers_of(way, atoms)) for way in calls}


@pytest.mark.parametrize("what", ["values", "vjp"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_descriptor(benchmark: Any, name: str, way: str, what: str, best_isa: str) -> None:
    atoms, ours, numpy, theirs = case(name)
    if way == "dscribe" and (theirs is None or what == "vjp"):
        pytest.skip("DScribe is not installed, or has nothing of the kind")
    some = centers_of("numpy", atoms)
    mdkern.set_isa(way if way in mdkern.info()["isas_supported"] else best_isa)
    values, slopes = numpy(some, what == "vjp")
    if what == "values":
        got = (theirs if way == "dscribe" else ours).create(atoms)[some]
        assert np.abs(got - values).max() <= 1e-8 * np.abs(values).max()
    elif way != "numpy":
        weights = np.random.default_rng(0).normal(size=values.shape)
        gradient, _ = ours.vjp(atoms, weights, some)
        expected = np.einsum("cf,caxf->ax", weights, slopes)
        assert np.abs(gradient - expected).max() <= 1e-8 * np.abs(expected).max()
    weights = np.random.default_rng(0).normal(size=values.shape[1])
    call = {
        "numpy": lambda: numpy(some, what == "vjp"),
        "dscribe": lambda: theirs.create(atoms),
    }.get(way, (lambda: ours.create(atoms, threads=1)) if what == "values" else (lambda: ours.vjp(atoms, weights, threads=1)))  # fmt: skip
    benchmark.group = f"{name} {what}"
    if benchmark.disabled:
        benchmark(call)
        return
    benchmark.pedantic(call, rounds=3, iterations=1)
    times = us_per_center(name, what)
    benchmark.extra_info.update(
        us_per_center=times[way],
        over_numpy=times["numpy"] / times[way],
        n_atoms=len(atoms),
        isa=way,
        threads=1,
    )
