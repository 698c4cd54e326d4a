"""Fingerprints of what mdkern computes, to see whether a change of the code changed a bit.

    python tools/golden.py write golden.json      # with the build before
    python tools/golden.py compare golden.json    # with the build after; exit status 1 where something differs

Every case runs with each instruction set of this CPU, with one thread and with two, which must give the same bits; `--isa scalar`
takes that one alone, whose bits are those of other machines too. Kept are SHA-256 sums of the arrays, or type and message of an
exception. Models of $MDKERN_TEST_DATA join those of tests/data. Only Python's public interface is used, so that one script serves
both builds: run it with either interpreter.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.io import read

import mdkern
from mdkern import calculators, descriptors, md
from mdkern.bench.deepmd_models import random_deepmd
from mdkern.bench.mace_models import PUBLIC_SHAPES, random_mace
from mdkern.bench.nep_models import random_nep
from mdkern.io.mace import write_mace

DATA = Path(__file__).resolve().parent.parent / "tests" / "data"
SHARED = os.environ.get("MDKERN_TEST_DATA")
Values = dict[str, Any]
Cases = Iterator[tuple[str, Callable[[], Values]]]


# --- systems ------------------------------------------------------------------------------------


def system(name: str, symbols: tuple[str, ...], a: float) -> Atoms:
    """Disturbed fcc crystals, or parts of one, of lattice constant `a` with elements in a fixed irregular order."""
    rng = np.random.default_rng(7)
    repeats = {"open-20": 2, "mixed-20": (1, 1, 5), "periodic-108": 3, "slab-1008": (6, 6, 7)}
    atoms = bulk("Cu", "fcc", a=a, cubic=True).repeat(repeats[name])
    atoms.positions += rng.normal(scale=0.03 * a, size=atoms.positions.shape)
    if name == "open-20":
        atoms = atoms[:20]
        atoms.set_cell(np.diag([5.0, 6.0, 7.0]) * a)  # a volume, for stresses
        atoms.pbc = False
    elif name == "mixed-20":  # smaller than the cutoff, sheared, two atoms close to each other
        shear = np.eye(3) + rng.normal(scale=0.07, size=(3, 3))
        atoms.set_cell(atoms.cell.array @ shear, scale_atoms=True)
        atoms.positions[1] = atoms.positions[0] + [0.7, 0.6, 0.8]
        atoms.pbc = (True, False, True)
    elif name == "slab-1008":
        atoms.center(vacuum=a, axis=2)
        atoms.pbc = (True, True, False)
    kinds = rng.permutation(len(atoms)) % len(symbols)
    atoms.symbols[:] = [symbols[k] for k in kinds]
    return atoms


SMALL = ("open-20", "mixed-20", "periodic-108")
ALL = (*SMALL, "slab-1008")


# --- cases: names, and what computes the arrays -------------------------------------------------


def evaluation(make: Callable[[], Any], systems: tuple[str, ...], symbols: Any, a: float) -> Values:
    """Results of a calculator on systems: on a new neighbor list, and on a kept one with atoms moved."""
    out: Values = {}
    calc = make()
    offered = calc.implemented_properties
    extra = [x for x in ("stresses", "born_effective_charges") if x in offered]
    for name in systems:
        atoms = system(name, symbols or calc.species or ("Cu",), a)
        for at, wanted in (("", ["energy"]), (", all", ["energy", *extra]), (", moved", extra)):
            if at == ", moved":
                atoms.positions += np.random.default_rng(3).normal(scale=0.01, size=(len(atoms), 3))
            found = attempt(lambda atoms=atoms, wanted=wanted: calculated(calc, atoms, wanted))
            out |= {f"{name}{at}: {key}": value for key, value in found.items()}
    return out


def calculated(calc: Any, atoms: Atoms, wanted: list[str]) -> Values:
    calc.calculate(atoms, wanted)
    tensor = "energy" not in calc.implemented_properties
    deviation = getattr(calc, "deviation", None) or {}
    return {**calc.results, **deviation, **({} if tensor else {"virial": calc.virial})}


def classical_cases() -> Cases:
    elements = {"LennardJones": 5.3, "Buckingham": 5.3}
    folders = [(DATA / "classical", DATA / "classical")]
    if SHARED:
        folders.append((Path(SHARED, "potentials", "cases"), Path(SHARED, "potentials")))
    for folder, files in folders:
        lists = [json.loads(path.read_text()) for path in sorted(folder.glob("cases*.json"))]
        for case in (case for cases in lists for case in cases):
            kind = getattr(calculators, case["calculator"], None)
            if kind is None:
                continue
            given = {k: located(v, files) if k == "path" else v for k, v in case["kwargs"].items()}
            for precision in ("double", "single"):
                make = partial(kind, **given, precision=precision)
                run = partial(
                    evaluation, make, ALL, tuple(case["elements"]), elements.get(kind.__name__, 3.7)
                )
                yield f"{kind.__name__} {case['name']} {precision}", run
    for precision, shift in product(("double", "single"), (1.9, 2.9)):
        make = partial(
            calculators.LennardJones, sigma=3.4, epsilon=0.01, rc=8.0, ro=2.5 * shift, smooth=True,
            precision=precision,
        )  # fmt: skip
        run = partial(evaluation, make, ALL, ("Ar",), 5.3)
        yield f"LennardJones smooth from {2.5 * shift} {precision}", run
    switched = partial(calculators.Morse, epsilon=0.34, rho0=3.9, r0=2.87)
    yield "Morse switched", partial(evaluation, switched, ALL, ("Cu",), 3.7)
    for chosen in (["Cu"], ["Cu", "Ni", "Al"]):
        make = partial(calculators.EAM, "zhou2004", elements=chosen)
        yield f"EAM zhou2004 {'-'.join(chosen)}", partial(evaluation, make, ALL, tuple(chosen), 3.7)


def located(value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return {key: str(folder / name) for key, name in value.items()}
    return str(folder / value)


def nep_files(scratch: Path) -> list[Path]:
    files = sorted((DATA / "nep").glob("*.txt"))
    for version, kind in ((3, ""), (4, "dipole"), (4, "polarizability"), (4, "charge1")):
        path = scratch / f"random_nep{version}{kind}.txt"
        random_nep(path, species=("O", "H"), version=version, kind=kind, bodies=["222"])
        files.append(path)
    return files + (sorted(Path(SHARED, "nep", "models").glob("*.txt")) if SHARED else [])


def mace_files(scratch: Path) -> list[Path]:
    files = sorted((DATA / "mace" / "models").glob("*.npz"))
    for shape, given in PUBLIC_SHAPES.items():
        files.append(scratch / f"random_mace_{shape}.npz")
        write_mace(files[-1], random_mace(**{**given, "channels": 24}))
    return files


def deepmd_files(scratch: Path) -> list[Path]:
    with zipfile.ZipFile(DATA / "deepmd" / "models.zip") as archive:
        archive.extractall(scratch)
        files = sorted(scratch / name for name in archive.namelist())
    files.append(DATA / "deepmd" / "water_random.dp")
    for kind in ("se_e2_a", "dpa1_attention"):  # of the usual size
        files.append(Path(random_deepmd(scratch / f"random_{kind}.json", kind=kind)))
    return files + (sorted(Path(SHARED, "deepmd").glob("*.dp")) if SHARED else [])


def model_cases(scratch: Path) -> Cases:
    for path, precision in product(nep_files(scratch), ("double", "single")):
        large = DATA in path.parents and precision == "double"
        make = partial(calculators.load, path, precision=precision)
        run = partial(evaluation, make, ALL if large else SMALL, None, 4.0)
        yield f"NEP {path.stem} {path.stat().st_size} {precision}", run
    for path, precision in product(mace_files(scratch), ("double", "single")):
        make = partial(calculators.MACE, path, precision=precision)
        run = partial(evaluation, make, SMALL, None, 3.8)
        yield f"MACE {path.stem} {precision}", run
    for path in deepmd_files(scratch):
        for precision, tabulate in product(("double", "single"), (True, False)):
            make = partial(calculators.load, path, precision=precision, tabulate=tabulate)
            big = path.stat().st_size > 150_000
            run = partial(evaluation, make, SMALL[:2] if big else SMALL, None, 3.6)
            yield f"DeepPotential {path.stem} {precision} tabulate={tabulate}", run
    one = [scratch / f"overflow{name}.dp" for name in ("", "_zbl", "_table")]
    run = partial(evaluation, partial(calculators.ModelDeviation, one), SMALL, None, 3.6)
    yield "ModelDeviation Deep Potential", run
    mixed = [scratch / "random_nep3.txt", str(DATA / "deepmd" / "water_random.dp")]
    run = partial(evaluation, partial(calculators.ModelDeviation, mixed), SMALL, None, 3.6)
    yield "ModelDeviation mixed", run
    for name, make_descriptor in own_descriptors().items():
        run = partial(evaluation, partial(linear, make_descriptor), SMALL, ("Cu", "O"), 4.0)
        yield f"LinearModel {name}", run


def own_descriptors() -> dict[str, Callable[[], Any]]:
    soap = {"species": ["O", "Cu"], "r_cut": 4.0, "n_max": 4, "l_max": 3, "sigma": 0.5}
    g2, g4 = [[1.0, 1.0], [0.5, 2.0]], [[0.01, 1, 1], [0.05, 2, -1]]
    acsf = {"species": ["O", "Cu"], "r_cut": 4.5, "g2_params": g2, "g4_params": g4}
    return {
        "SOAP": partial(descriptors.SOAP, **soap, periodic=True, smooth_cutoff=0.5),
        "ACSF": partial(descriptors.ACSF, **acsf, periodic=True),
    }


def linear(make: Callable[[], Any]) -> Any:
    descriptor = make()
    shape = (2, descriptor.get_number_of_features())
    weights = np.random.default_rng(4).normal(size=shape)
    return calculators.LinearModel(descriptor, weights=weights, intercepts=[0.5, -1.5])


def described(make: Callable[[], Any], structures: Any, a: float = 4.0) -> Values:
    """All that a descriptor computes of structures: atoms, or names of systems."""
    out: Values = {}
    d = make()
    of_model = isinstance(
        d, (descriptors.NEPDescriptor, descriptors.MACEDescriptor, descriptors.DeepPotSE)
    )
    for given in structures:
        name = given if isinstance(given, str) else f"{len(given)} atoms"
        symbols = d.species if of_model else ("O", "Cu")
        atoms = system(given, symbols, a) if isinstance(given, str) else given
        calls: dict[str, Callable[[], Any]] = {
            "values": partial(d.create, atoms),
            "derivatives": partial(d.derivatives, atoms, include=[0, 2]),
            "of some": partial(d.derivatives, atoms, centers=[0, 1]),
            "attach=False": partial(d.derivatives, atoms, centers=[1], include=[0], attach=False),
            "vjp": partial(weighted, d, atoms),
        }
        if hasattr(d, "derivatives_sparse"):
            calls["sparse"] = partial(sparse, d, atoms)
            calls["strain"] = partial(d.derivatives_strain, atoms, centers=[0, 1])
        for key, call in calls.items():
            found = attempt(lambda call=call: dict(enumerate(sequence(call()))))
            out |= {f"{name}: {key} {k}": value for k, value in found.items()}
    return out


def sequence(x: Any) -> Any:
    return x if isinstance(x, tuple) else (x,)


def weighted(d: Any, atoms: Atoms) -> Any:
    shape = np.shape(d.create(atoms))
    return d.vjp(atoms, np.random.default_rng(5).normal(size=shape))


def sparse(d: Any, atoms: Atoms) -> Any:
    j = d.derivatives_sparse(atoms, centers=[0, 1, 2])
    return j.center, j.atom, j.packed


def descriptor_cases(scratch: Path) -> Cases:
    for case in json.loads((DATA / "descriptors" / "cases.json").read_text()):
        kind = getattr(descriptors, case["descriptor"])
        atoms = read(DATA / "descriptors" / f"{case['structure']}.extxyz")
        yield (
            f"descriptor {case['name']}",
            partial(described, partial(kind, **case["args"]), [atoms]),
        )
    for name, make in own_descriptors().items():
        yield f"descriptor {name}", partial(described, make, SMALL)
        yield (
            f"descriptor {name} float32",
            partial(described, partial(changed, make, dtype="float32"), SMALL),
        )
    for kind, files in (
        (descriptors.NEPDescriptor, nep_files(scratch)),
        (descriptors.MACEDescriptor, mace_files(scratch)),
        (descriptors.DeepPotSE, deepmd_files(scratch)),
    ):
        for path, precision in product(files, ("double", "single")):
            big = path.stat().st_size > 150_000
            yield (
                f"{kind.__name__} {path.stem} {path.stat().st_size} {precision}",
                partial(
                    described,
                    partial(kind, path, precision=precision),
                    SMALL[: 1 if big else 3],
                    3.8,
                ),
            )


def changed(make: Any, **kwargs: Any) -> Any:
    return make(**kwargs)


def listed(name: str, cutoff: Any) -> Values:
    atoms = system(name, ("Cu", "O"), 3.7)
    radii = np.random.default_rng(6).uniform(1.0, 2.5, len(atoms))
    between = {("Cu", "O"): 0.8 * cutoff, ("O", "O"): cutoff}
    out: Values = {}
    for kind, value in (("number", cutoff), ("pairs", between), ("radii", radii)):
        for own in (False, True):
            found = mdkern.neighbor_list("ijdDS", atoms, value, self_interaction=own)
            out |= {f"{kind} {own} {k}": x for k, x in zip("ijdDS", found, strict=True)}
    return out


def trajectory(scheme: str, make: Callable[[], Any], name: str, symbols: Any, a: float) -> Values:
    """State after 20 steps."""
    calc = make()
    atoms = system(name, symbols or calc.species, a)
    rng = np.random.default_rng(8)
    atoms.set_momenta(
        rng.normal(scale=0.05, size=(len(atoms), 3)) * np.sqrt(atoms.get_masses())[:, None]
    )
    atoms.calc = calc
    fs = units.fs
    npt = {"temperature_K": 100, "pressure_au": 1e-4, "tdamp": 50 * fs, "pdamp": 500 * fs}
    arguments: dict[str, dict[str, Any]] = {
        "VelocityVerlet": {},
        "Langevin": {"temperature_K": 100, "friction": 0.01 / fs, "seed": 3},
        "Bussi": {"temperature_K": 100, "taut": 50 * fs, "seed": 3},
        "NoseHooverChainNVT": {"temperature_K": 100, "tdamp": 50 * fs},
        "IsotropicMTKNPT": npt,
        "MTKNPT": npt,
        "MaskedMTKNPT": {**npt, "mask": (True, False, True)},
    }
    getattr(md, scheme)(atoms, 2 * fs, **arguments[scheme]).run(20)
    state = {"positions": atoms.positions, "momenta": atoms.get_momenta(), "cell": atoms.cell.array}
    return {**state, **calc.results, "virial": calc.virial}


SCHEMES = (
    "VelocityVerlet",
    "Langevin",
    "Bussi",
    "NoseHooverChainNVT",
    "IsotropicMTKNPT",
    "MTKNPT",
    "MaskedMTKNPT",
)  # fmt: skip


def motion_cases(scratch: Path) -> Cases:
    argon = partial(calculators.LennardJones, sigma=3.4, epsilon=0.01, rc=8.0, skin=0.5)
    alloy = partial(calculators.EAM, "zhou2004", elements=["Cu", "Ni"])
    charged = partial(calculators.load, DATA / "nep" / "synthetic_nep4_charge2.txt")
    morse = partial(calculators.Morse, D=0.34, alpha=1.36, r0=2.87, rc=6.0)
    water = partial(calculators.load, DATA / "deepmd" / "water_random.dp")
    ionic = partial(calculators.Buckingham, A=9576.0, rho=0.27643, C=62.4, rc=8.5)
    for scheme in SCHEMES:
        for name in ("periodic-108", "open-20"):
            yield (
                f"{scheme} LennardJones {name}",
                partial(trajectory, scheme, argon, name, ("Ar",), 5.3),
            )
            yield f"{scheme} EAM {name}", partial(trajectory, scheme, alloy, name, None, 3.7)
        for of, make, symbols in (("NEP", charged, None), ("Morse", morse, ("Cu",))):
            run = partial(trajectory, scheme, make, "periodic-108", symbols, 4.0)
            yield f"{scheme} {of} periodic-108", run
    for of, make, symbols, a in (
        ("LennardJones", argon, ("Ar",), 5.3),
        ("EAM", alloy, None, 3.7),
        ("Buckingham", ionic, ("Ar",), 5.3),
    ):
        run = partial(trajectory, "VelocityVerlet", make, "slab-1008", symbols, a)
        yield f"VelocityVerlet {of} slab-1008", run
    for path in sorted(scratch.glob("*.dp")):
        make = partial(calculators.load, path)
        run = partial(trajectory, "VelocityVerlet", make, "open-20", None, 3.6)
        yield f"VelocityVerlet DeepPotential {path.stem}", run
    yield "Langevin DeepPotential", partial(trajectory, "Langevin", water, "open-20", None, 3.6)


def cases(scratch: Path) -> Cases:
    for name, cutoff in product(ALL, (2.5, 5.0)):
        yield f"neighbor_list {name} {cutoff}", partial(listed, name, cutoff)
    yield from classical_cases()
    yield from model_cases(scratch)
    yield from descriptor_cases(scratch)
    yield from motion_cases(scratch)


# --- fingerprints -------------------------------------------------------------------------------


def attempt(run: Callable[[], Values]) -> Values:
    try:
        return run()
    except Exception as e:  # noqa: BLE001  # whatever it is: that is the result
        return {"exception": f"{type(e).__name__}: {e}"}


def digest(value: Any, folders: dict[str, str]) -> str:
    if isinstance(value, str):
        for folder, name in folders.items():
            value = value.replace(folder, name)
        return value
    x = np.asarray(value)
    return f"{x.dtype} {x.shape} {hashlib.sha256(x.tobytes()).hexdigest()}"


def fingerprints(only: str, isas: list[str]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """By case and instruction set, and what depends on the number of threads."""
    found: dict[str, dict[str, str]] = {}
    unequal = []
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        names = {str(DATA): "DATA", folder: "SCRATCH", **({SHARED: "SHARED"} if SHARED else {})}
        for (case, run), isa in product(cases(Path(folder)), isas):
            if not re.search(only, case):
                continue
            mdkern.set_isa(isa)
            of_threads = []
            for threads in (1, 2):
                with mdkern.num_threads(threads):
                    of_threads.append({k: digest(v, names) for k, v in attempt(run).items()})
            found[f"{case} | {isa}"] = of_threads[0]
            unequal += [
                f"{case} | {isa}: {what} of one thread and of two"
                for what in differences(*of_threads)
            ]
    return found, unequal


def differences(a: dict[str, str], b: dict[str, str]) -> list[str]:
    return [key for key in {**a, **b} if a.get(key) != b.get(key)]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("action", choices=["write", "compare"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--only", default="", metavar="REGEX", help="cases whose names match")
    parser.add_argument("--isa", choices=mdkern.info()["isas_supported"], help="this one alone")
    args = parser.parse_args()
    stored = json.loads(args.file.read_text()) if args.action == "compare" else {}
    isas = [args.isa] if args.isa else mdkern.info()["isas_supported"]
    stored = {
        key: values
        for key, values in stored.items()
        for case, _, isa in [key.rpartition(" | ")]
        if re.search(args.only, case) and (not args.isa or isa == args.isa)
    }
    start = time.perf_counter()
    found, wrong = fingerprints(args.only, isas)
    if args.action == "write":
        args.file.write_text(json.dumps(found, indent=0))
    else:
        for case in {**stored, **found}:
            if case not in stored or case not in found:
                wrong.append(f"{case}: only {'now' if case in found else 'in the file'}")
                continue
            wrong += [f"{case}: {what}" for what in differences(stored[case], found[case])]
    for line in wrong:
        print(f"differs: {line}")
    arrays = sum(len(x) for x in found.values())
    seconds = time.perf_counter() - start
    print(f"{len(found)} cases, {arrays} values, {len(wrong)} differ; {seconds:.0f} s")
    if not found:
        print("no case has such a name", file=sys.stderr)
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    sys.exit(main())
