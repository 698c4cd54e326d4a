"""The formats that mdkern reads: small files of each, damage to them, what reads them, what uses what was read."""

# ruff: noqa: SIM905 - words
from __future__ import annotations

import importlib
import json
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from harness import REFUSED, Format
from mutants import (
    Hdf5Seed,
    damage_archive,
    damage_bytes,
    damage_text,
    damage_tree,
    json_text,
)

import mdkern
from mdkern import calculators
from mdkern.bench.deepmd_models import KINDS, random_deepmd
from mdkern.bench.mace_models import DENSITY, DENSITY_RESIDUAL, random_mace
from mdkern.bench.nep_models import random_nep
from mdkern.calculators import AtomsError, NonFiniteError
from mdkern.cli import continuation, trajectory
from mdkern.cli.output import UsageError
from mdkern.descriptors import ACSF, SOAP
from mdkern.errors import UnsupportedError
from mdkern.md import DynamicsError, VelocityVerlet, read_checkpoint, write_checkpoint
from mdkern.md.integrators import Langevin

DATA = Path(__file__).parent.parent / "data"
REACH = 12.0  # Angstrom; a cell with longer cutoffs would have too many neighbors for the time that there is


@cache
def _folder() -> str:
    return tempfile.mkdtemp(prefix="fuzz")


def _structures(species: tuple[str, ...], cutoff: float) -> list[Atoms]:
    rng = np.random.default_rng(5)
    symbols = [species[k % len(species)] for k in range(max(6, min(len(species), 12)))]
    n = len(symbols)
    atoms = Atoms(symbols, rng.uniform(0, 4.0, (n, 3)), cell=[4.5, 5.0, 5.5], pbc=cutoff <= REACH)
    return [atoms, Atoms(symbols[:2], [[0, 0, 0], [0.4, 0, 1.2]])]


def _evaluate(calc: Any) -> None:
    for atoms in _structures(calc.species or ("Ar",), calc.cutoff):
        if isinstance(calc, calculators.NEPTensor):
            calc.get_property(calc.implemented_properties[0], atoms)
            continue
        atoms.calc = calc
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        assert np.isfinite(energy)
        assert np.isfinite(forces).all()
        if atoms.pbc.all():
            assert np.isfinite(atoms.get_stress()).all()


def reader(kind: Callable[..., Any], **kwargs: Any) -> Callable[[str, Random], Any]:
    """By the class of a calculator, or by :func:`mdkern.load`."""

    def read(path: str, rng: Random) -> Any:
        return (kind if rng.random() < 0.5 else mdkern.load)(path, **kwargs)

    return read


def model_format(
    name: str, suffix: str, mutant: Callable[[Random], bytes], read: Callable[[str, Random], Any]
) -> Format:
    """Of a potential, whose models are evaluated."""
    return Format(
        name,
        suffix,
        mutant,
        read,
        _evaluate,
        unusable=(NonFiniteError, AtomsError, UnsupportedError),
    )


# --- EAM

_R = [0.3 * k for k in range(16)]


def _numbers(values: list[float], per_line: int = 5) -> str:
    rows = [values[k : k + per_line] for k in range(0, len(values), per_line)]
    return "\n".join(" ".join(f"{x:.8e}" for x in row) for row in rows) + "\n"


def _smooth(a: float) -> list[float]:
    return [a * (1 - r / 4.5) ** 3 if r < 4.5 else 0.0 for r in _R]


def _embedding(a: float) -> list[float]:
    return [-a * (0.5 * k) ** 0.5 for k in range(16)]


def _setfl(fs: bool) -> str:
    species = ["Cu", "Ni"]
    text = "a\nb\nc\n2 Cu Ni\n16 0.5 16 0.3 4.5\n"
    for k, z in enumerate((29, 28)):
        text += f"{z} 60.0 3.6 fcc\n" + _numbers(_embedding(1.0 + 0.1 * k))
        text += "".join(_numbers(_smooth(2.0 + j)) for j in range(2 if fs else 1))
    pairs = len(species) * (len(species) + 1) // 2
    return text + "".join(
        _numbers([r * v for r, v in zip(_R, _smooth(1.0 + p), strict=True)]) for p in range(pairs)
    )


def _funcfl() -> str:
    head = "Cu\n29 63.55 3.615 FCC\n16 0.5 16 0.3 4.5\n"
    return head + _numbers(_embedding(1.0)) + _numbers(_smooth(3.0)) + _numbers(_smooth(2.0))


_EAM = {"eam_alloy": _setfl(False), "eam_fs": _setfl(True), "eam_funcfl": _funcfl()}
_SUFFIX = {"eam_alloy": ".eam.alloy", "eam_fs": ".eam.fs", "eam_funcfl": ".eam"}


# --- NEP


@cache
def _nep_seeds() -> list[str]:
    small: dict[str, Any] = {
        "species": ["O", "H"], "n_max": (1, 1), "basis": (2, 2), "l_max": 2, "hidden": 3, "cutoffs": (4.0, 3.0),
    }  # fmt: skip
    kinds: list[dict[str, Any]] = [
        {}, {"version": 3}, {"version": 5}, {"zbl": [1.0, 2.0]}, {"zbl": [0, 0]}, {"bodies": ["222", "1111"], "l_max": 4},
        {"kind": "charge1"}, {"kind": "charge2"}, {"kind": "dipole"}, {"kind": "polarizability"},
        {"cutoffs": (4.0, 3.0, 3.5, 2.5)},
    ]  # fmt: skip
    out = []
    for k, extra in enumerate(kinds):
        path = random_nep(f"{_folder()}/nep{k}.txt", **{**small, **extra})
        out.append(Path(path).read_text())
    return out


_NEP_WORDS = tuple(
    "nep3 nep4 nep5 nep4_zbl nep4_charge1 nep4_dipole nep4_zbl_charge2 zbl cutoff n_max basis_size l_max ANN 0 1 2 -1 5 8 12 19 20 21 100 "
    "1000 99999 1e9 2147483648 nan inf 1e308 1e-300 1e30 0.1 100.0 1000.0 H O Xx 4.5 1.5 use_typewise_cutoff_zbl 0.65".split()
)  # fmt: skip


# --- Deep Potential


def _deepmd_trees(file: Callable[[str], str]) -> list[Any]:
    small: dict[str, Any] = {
        "sel": (3, 5), "neuron": (2, 4), "axis_neuron": 2, "fitting": (3, 3), "r_cut": 4.0, "r_cut_smth": 1.0,
    }  # fmt: skip
    trees = []
    for kind in KINDS:
        path = random_deepmd(
            file(kind), kind=kind, **{**small, "sel": (2, 3)} if "attention" in kind else small
        )
        tree = json.loads(Path(path).read_text())
        trees.append(tree)
    hybrid = json.loads(json.dumps(trees[0]))
    descriptor = hybrid["model"]["descriptor"]
    other = json.loads(json.dumps(trees[1]))["model"]["descriptor"]
    hybrid["model"]["descriptor"] = {
        "@class": "Descriptor",
        "@version": 1,
        "type": "hybrid",
        "list": [descriptor, other],
    }
    hybrid["model"]["fitting"] = json.loads(json.dumps(trees[0]))["model"]["fitting"]
    trees.append(hybrid)
    return trees


@cache
def _trees() -> list[Any]:
    return _deepmd_trees(lambda kind: f"{_folder()}/{kind}.json")


@cache
def _yaml_texts() -> list[str]:
    import yaml

    return [yaml.dump(tree, default_flow_style=None, sort_keys=False) for tree in _trees()]


_YAML_WORDS = (
    "&a *a !!python/object/apply:os.system !!binary !!float <<: ? | > - -- --- ... %YAML @x `x {{}} [[ ]] {a:b} ~ null yes 1_000 0o7 0x1F "
    "1:30 .inf .nan 2001-01-01 'x \"x {a:{a:{a: [[[[[[[["
).split()  # fmt: skip


def _json_mutant(rng: Random) -> bytes:
    tree = rng.choice(_trees())
    if rng.random() < 0.8:
        return json_text(damage_tree(rng, tree)).encode("utf-8", "surrogatepass")
    text = json_text(tree)
    if rng.random() < 0.3:
        at = rng.choice([m for m in range(len(text)) if text[m] == "{"])
        return (text[: at + 1] + '"type": "x", ' + text[at + 1 :]).encode()
    return damage_text(rng, text.replace(", ", ",\n"))


def _yaml_mutant(rng: Random) -> bytes:
    k = rng.randrange(len(_trees()))
    if rng.random() < 0.5:
        words = tuple(_YAML_WORDS) if rng.random() < 0.4 else ()
        return damage_text(rng, _yaml_texts()[k], words)
    tree = damage_tree(rng, _trees()[k])
    return "".join(f"{name}: {json_text(v)}\n" for name, v in tree.items()).encode(
        "utf-8", "surrogatepass"
    )


@cache
def _hdf5_seeds() -> list[Hdf5Seed]:
    files = {"water_random": (DATA / "deepmd" / "water_random.dp").read_bytes()}
    with zipfile.ZipFile(DATA / "deepmd" / "models.zip") as archive:
        for name in ("dpa1_strip", "dpa1_attention", "overflow_table", "zbl", "hybrid", "se_e3"):
            files[name] = archive.read(f"{name}.dp")
    files |= _by_h5py(files["dpa1_strip"])
    out = []
    for name, data in files.items():
        path = f"{_folder()}/{name}.dp"
        Path(path).write_bytes(data)
        out.append(Hdf5Seed(data, calculators.DeepPotential, path))
    return out


def _by_h5py(data: bytes) -> dict[str, bytes]:
    """A model in other forms of HDF5, where h5py is there to write them."""
    try:
        import h5py
    except ImportError:
        return {}
    from mdkern.io.hdf5 import read_hdf5

    path = f"{_folder()}/again.dp"
    Path(path).write_bytes(data)
    text, arrays = read_hdf5(path, "json")
    out = {}
    packed = {"compression": "gzip", "shuffle": True, "fletcher32": True}
    for version in ("earliest", "v108", "latest"):
        for options in ({}, packed, {"chunks": True}):
            with h5py.File(path, "w", libver=version) as file:
                file.attrs["json"] = text
                for n, (name, value) in enumerate(arrays.items()):
                    chosen = options if value.ndim and value.size else {}
                    if chosen and value.ndim == 2 and n % 3 == 0:
                        chosen = {**chosen, "maxshape": (None, None)}
                    file.create_dataset(name, data=value, **chosen)
            out[f"{version}{len(options)}"] = Path(path).read_bytes()
    return out


def _deep(path: str, rng: Random) -> Any:
    if rng.random() < 0.1:
        return mdkern.load(path)
    return calculators.DeepPotential(path, tabulate=rng.random() < 0.1)


# --- linear models


def _members(path: str) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@cache
def _linear_seeds() -> list[dict[str, bytes]]:
    descriptors = [
        SOAP(species=["O", "H"], r_cut=4.0, n_max=2, l_max=2, periodic=True),
        SOAP(species=["O", "H"], r_cut=4.0, n_max=2, l_max=1, periodic=True, rbf="polynomial", compression={"mode": "mu2"}),
        SOAP(species=["O", "H"], r_cut=4.0, n_max=2, l_max=1, periodic=True, weighting={"function": "poly", "r0": 4.0, "c": 1, "m": 1}),
        ACSF(species=["O", "H"], r_cut=4.0, g2_params=[[1, 2]], g4_params=[[1, 1, 1]], periodic=True),
    ]  # fmt: skip
    out = []
    for k, d in enumerate(descriptors):
        path = f"{_folder()}/linear{k}.npz"
        rng = np.random.default_rng(k)
        calculators.LinearModel(d, rng.normal(size=d.get_number_of_features())).save(path)
        out.append(_members(path))
    return out


# --- model files of mdkern


_PUBLISHED = "toy_GaAs.sw toy_GaAs.tersoff.zbl toy_SiC.tersoff.mod toy_chem_inner.snapcoeff toy_quad_chem.snapcoeff".split()


def _published_seeds() -> list[Any]:
    """Calculators from files of other programs that the tests have."""
    made: list[Any] = [mdkern.load(DATA / "classical" / name) for name in _PUBLISHED]
    zbl = {"inner": 1.0, "outer": 2.0}
    made.append(calculators.SNAP(DATA / "classical" / "toy_chem_inner.snapcoeff", zbl=zbl))
    for name in ("compact", "gaussian", "mixed"):
        made.append(calculators.BehlerParrinello(DATA / "n2p2" / name, length_unit="angstrom"))
    return made


@cache
def _stored_seeds() -> list[bytes]:
    lj = calculators.LennardJones(
        sigma={"O": 3.0, "H": 2.5}, epsilon={"O": 0.01, "H": 0.02}, rc=6.0
    )
    made: list[Any] = [lj, calculators.Morse(D=0.3, alpha=1.5, r0=1.5, rc=5.0)]
    made.append(calculators.Buckingham(A=1388.8, rho=0.36, C=175.0, rc=5.5))
    d3 = {"elements": ["O", "H"], "cutoff": 6.0, "cn_cutoff": 5.0, "abc_cutoff": 4.0, "width": 1.0}
    made.append(calculators.D3("pbe", **d3))
    made.append(calculators.D3("pbe", "zerom", abc=True, cn_width=0.5, **d3))
    for name, text in _EAM.items():
        path = f"{_folder()}/seed{_SUFFIX[name]}"
        Path(path).write_text(text)
        made.append(calculators.EAM(path))
    made.append(calculators.EAM.zhou2004(["Cu", "Ni"]))
    made.append(calculators.StillingerWeber(DATA / "classical" / "toy_GaAs.sw"))
    made.append(calculators.Tersoff(DATA / "classical" / "toy_SiC.tersoff.zbl"))
    for k, members in enumerate(_linear_seeds()):
        with zipfile.ZipFile(f"{_folder()}/seed{k}.npz", "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        made.append(calculators.LinearModel(f"{_folder()}/seed{k}.npz"))
    for k, text in enumerate(_nep_seeds()):
        path = f"{_folder()}/seed{k}.txt"
        Path(path).write_text(text)
        calc = mdkern.load(path)
        if isinstance(calc, calculators.NEP):
            made.append(calc)
    for k, tree in enumerate(_trees()[: len(KINDS)]):
        path = f"{_folder()}/seed{k}.json"
        Path(path).write_text(json_text(tree))
        made.append(calculators.DeepPotential(path, tabulate=k % 2 == 0))
    for seed in _hdf5_seeds():
        path = f"{_folder()}/seed.dp"
        Path(path).write_bytes(seed.data)
        made.append(calculators.DeepPotential(path))
    small = {"channels": 2, "max_ell": 1, "l_hidden": 1, "num_basis": 2, "radial": (3,)}
    densities = {"blocks": (DENSITY, DENSITY_RESIDUAL), "repulsion": True}
    for precision, options in (("double", {}), ("single", densities)):
        model = random_mace(species=("O", "H"), r_max=3.5, **small, **options)
        made.append(calculators.MACE(model, precision=precision))
    made += _published_seeds()
    out = []
    for calc in made:
        calc.potential.export(f"{_folder()}/seed.mdk")
        out.append(Path(f"{_folder()}/seed.mdk").read_bytes())
    return out


_WEIRD: dict[str, list[Any]] = {
    "F64": [0.0, -1.0, 1e-300, 1e300, np.nan, np.inf, -np.inf, 2.0**31, 0.5, 3.0, 1e9],
    "F32": [0.0, -1.0, 1e-30, 1e30, np.nan, np.inf, 3.0],
    "I64": [0, 1, 2, 3, -1, 7, 100, 2**31 - 1, 2**31, 2**62, -(2**63)],
    "I32": [0, 1, 2, 3, -1, 7, 100, 2**31 - 1, -(2**31)],
    "U8": [0, 1, 2, 255],
}
_NUMPY = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "U8": "u1"}


def _stored_mutant(rng: Random) -> bytes:
    data = rng.choice(_stored_seeds())
    kind = rng.random()
    if kind < 0.15:
        return damage_bytes(rng, data)
    end = 8 + int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8:end]), bytearray(data[end:])
    if kind < 0.35:
        text = json_text(damage_tree(rng, header)).encode("utf-8", "surrogatepass")
    else:
        names = [name for name in header if name != "__metadata__"]
        numbers = [name for name in names if header[name]["shape"] == []]
        for _ in range(rng.choice([1, 1, 2, 5])):
            name = rng.choice(numbers if numbers and rng.random() < 0.5 else names)
            entry = header[name]
            begin, stop = entry["data_offsets"]
            dtype = np.dtype(_NUMPY[entry["dtype"]])
            size = dtype.itemsize
            if rng.random() < 0.15:
                n = (stop - begin) // size  # another shape of as many values
                entry["shape"] = rng.choice([[n], [n, 1], [1, n], [1, 1, n], [1, 1, n, 1]])
            elif rng.random() < 0.1:
                header.pop(name)
                break
            elif stop > begin:
                at = begin + size * rng.randrange((stop - begin) // size)
                weird = np.array(rng.choice(_WEIRD[entry["dtype"]]), dtype)
                body[at : at + size] = weird.tobytes()
        text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(body)


# --- checkpoints


@cache
def _argon() -> Any:
    return calculators.LennardJones(sigma=3.4, epsilon=0.01, rc=6.0)


@cache
def _checkpoint_seeds() -> list[dict[str, bytes]]:
    out = []
    for k, (kind, options) in enumerate(
        [
            (VelocityVerlet, {}),
            (Langevin, {"temperature_K": 50, "friction": 0.01 / units.fs, "seed": 3}),
        ]
    ):
        atoms = bulk("Ar", cubic=True)
        atoms.rattle(0.05, seed=k)
        atoms.calc = _argon()
        dynamics = kind(atoms, timestep=units.fs, **options)
        dynamics.run(3)
        path = f"{_folder()}/checkpoint{k}.npz"
        write_checkpoint(path, dynamics, {"potential": "x"})
        out.append(_members(path))
    return out


def _go_on(checkpoint: Any) -> None:
    dynamics = checkpoint.dynamics(_argon())
    if len(dynamics.atoms) < 1000:
        dynamics.run(1)


# --- H5MD


@cache
def _h5md_seeds() -> list[Hdf5Seed]:
    path = f"{_folder()}/run.h5md"
    writer = trajectory.open_trajectory(path, "w")
    atoms = bulk("Ar", cubic=True)
    atoms.calc = _argon()
    for k in range(3):
        head = {"seed": 1, "potential_sha256": "0" * 64, "timestep_fs": 1.0}
        writer.write(trajectory.with_results(*trajectory.snapshot(atoms, 10 * k, 0.01 * k, head)))
    writer.close()
    return [Hdf5Seed(Path(path).read_bytes(), continuation._h5md, path)]


# --- all of them

FORMATS: dict[str, Format] = {}


def _add(kind: Format) -> None:
    FORMATS[kind.name] = kind


for _name, _text in _EAM.items():
    _add(
        model_format(
            _name, _SUFFIX[_name], lambda rng, t=_text: damage_text(rng, t), reader(calculators.EAM)
        )
    )
_add(
    model_format(
        "nep",
        ".txt",
        lambda rng: damage_text(rng, rng.choice(_nep_seeds()), rng.choice([(), _NEP_WORDS])),
        reader(mdkern.load),
    )
)
_add(model_format("dp", ".dp", lambda rng: rng.choice(_hdf5_seeds()).damaged(rng), _deep))
_add(model_format("json", ".json", _json_mutant, _deep))
_add(model_format("yaml", ".yaml", _yaml_mutant, _deep))
_add(
    model_format(
        "linear",
        ".npz",
        lambda rng: damage_archive(rng, rng.choice(_linear_seeds()), "descriptor.npy"),
        reader(calculators.LinearModel),
    )
)
_add(model_format("stored", ".mdk", _stored_mutant, reader(calculators.StoredModel)))
_add(
    Format(
        "checkpoint",
        ".npz",
        lambda rng: damage_archive(rng, rng.choice(_checkpoint_seeds()), "meta.npy"),
        lambda path, _: read_checkpoint(path),
        _go_on,
        unusable=(AtomsError, DynamicsError, NonFiniteError),
    )
)
_add(
    Format(
        "h5md",
        ".h5md",
        lambda rng: rng.choice(_h5md_seeds()).damaged(rng),
        lambda path, _: continuation._h5md(path),
        lambda _: None,
        refused=(*REFUSED, UsageError),
    )
)

# Formats of later potentials, in files of their own.
for _path in sorted(Path(__file__).parent.glob("formats_*.py")):
    _add(importlib.import_module(_path.stem).FORMAT)


def missing(name: str) -> str | None:
    """The package without which a format cannot be tried."""
    needs = {"yaml": "yaml", "h5md": "h5py"}.get(name)
    if needs is not None:
        try:
            __import__(needs)
        except ImportError:
            return needs
    return None
