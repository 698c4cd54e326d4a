"""One of each potential that mdkern exports, and a structure for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from deepmd_data import model_file
from deepmd_data import system as deepmd_system
from mace_data import mace_file
from snap_data import snap_file

from mdkern import calculators
from mdkern.bench.mace_models import DENSITY, DENSITY_RESIDUAL, random_mace
from mdkern.descriptors import ACSF, SOAP, Bispectrum

DATA = Path(__file__).parent / "data"


def copper_nickel() -> Atoms:
    atoms = bulk("Cu", cubic=True).repeat((3, 3, 2))
    atoms.rattle(0.1, seed=3)
    atoms.symbols[::3] = "Ni"
    atoms.set_cell(atoms.cell.array + np.array([[0, 0, 0], [0.4, 0, 0], [0.2, -0.3, 0]]), True)
    return atoms


def water() -> Atoms:
    return deepmd_system("crystal").repeat((2, 1, 1))


def of_species(species: tuple[str, ...] | None) -> Atoms:
    atoms = copper_nickel()
    if species is not None:
        atoms.symbols = [species[k % len(species)] for k in range(len(atoms))]
    return atoms


def lennard_jones(**options: Any) -> Any:
    return calculators.LennardJones(epsilon=0.01, sigma=2.3, rc=6.0, ro=4.5, smooth=True, **options)


def linear(descriptor: Any) -> Any:
    n = descriptor.get_number_of_features()
    weights = np.random.default_rng(5).normal(scale=1e-3, size=(2, n))
    return calculators.LinearModel(descriptor, weights, [0.3, -0.2])


def mace(l_hidden: int = 1, **options: Any) -> Any:
    """Small, with two layers; `options` are those of random_mace, and precision."""
    precision = options.pop("precision", "double")
    small = {"channels": 8, "num_basis": 6, "radial": (16, 16), "r_max": 4.0, "neighbors": 20}
    model = random_mace(species=("Cu", "Ni"), l_hidden=l_hidden, **{**small, **options})
    return calculators.MACE(model, precision=precision)


MADE: dict[str, Any] = {
    "lj": lennard_jones,
    "lj_single": lambda: lennard_jones(precision="single"),
    "lj_mixture": lambda: calculators.LennardJones(
        epsilon={"Cu": 0.01, "Ni": 0.02}, sigma={"Cu": 2.2, "Ni": 2.1}, rc=6.0, shift=True
    ),
    "morse": lambda: calculators.Morse(D=0.3429, alpha=1.3588, r0=2.866, rc=10, shift=True),
    "buckingham": lambda: calculators.Buckingham(A=1388.8, rho=0.3623, C=17.0, rc=7.5, shift=True),
    "zbl_elements": lambda: calculators.ZBL(2.6, 4.2),
    "sum": lambda: calculators.Sum(
        [
            calculators.EAM(DATA / "classical" / "synthetic.eam.fs"),
            calculators.ZBL(1.6, 2.8),
            calculators.EAM.zhou2004(["Cu", "Al"]),
        ],
        weights=[1.0, 1.0, 0.5],
    ),
    "d3": lambda: calculators.D3("pbe", cutoff=6.0, cn_cutoff=5.0, width=1.0, cn_width=1.0),
    "d3_abc": lambda: calculators.D3(
        "pbe",
        "zero",
        abc=True,
        cutoff=6.0,
        cn_cutoff=5.0,
        abc_cutoff=4.0,
        elements=["Ni", "Cu"],
        width=1.0,
        cn_width=1.0,
        abc_width=0.5,
    ),
    # Parts with species in another order, values that are exchanged, and lists of their own.
    "sum_d3": lambda: calculators.Sum(
        [
            calculators.D3(
                "pbe",
                elements=["H", "As", "Ga"],
                cutoff=5.0,
                cn_cutoff=4.5,
                width=1.0,
                cn_width=1.0,
            ),
            calculators.StillingerWeber(DATA / "classical" / "toy_GaAs.sw"),
        ],
        weights=[0.5, 1.0],
    ),
    "eam": lambda: calculators.EAM(DATA / "classical" / "synthetic.eam.alloy"),
    "eam_fs": lambda: calculators.EAM(DATA / "classical" / "synthetic.eam.fs"),
    "zhou2004": lambda: calculators.EAM.zhou2004(["Cu", "Ni"]),
    "stillinger_weber": lambda: calculators.StillingerWeber(DATA / "classical" / "toy_GaAs.sw"),
    "tersoff": lambda: calculators.Tersoff(DATA / "classical" / "toy_SiC.tersoff"),
    "tersoff_mod": lambda: calculators.Tersoff(DATA / "classical" / "toy_SiC.tersoff.mod"),
    "nep": lambda: calculators.NEP(DATA / "nep" / "synthetic_nep4_highorder.txt"),
    "nep_single": lambda: calculators.NEP(
        DATA / "nep" / "synthetic_nep4_highorder.txt", precision="single"
    ),
    "linear_soap": lambda: linear(
        SOAP(["Cu", "Ni"], r_cut=4.0, n_max=3, l_max=2, sigma=0.5, periodic=True, smooth_cutoff=1.0)
    ),
    "linear_acsf": lambda: linear(
        ACSF(
            ["Cu", "Ni"],
            r_cut=4.5,
            g2_params=[[1.0, 2.0]],
            g4_params=[[0.1, 2.0, 1.0], [0.2, 1.0, -1.0]],
            g5_params=[[0.1, 2.0, 1.0]],
            periodic=True,
        )
    ),
    "linear_bispectrum": lambda: linear(Bispectrum(["Cu", "Ni"], 4.5, 3, periodic=True)),
    "snap": lambda: calculators.SNAP(snap_file(("Cu", "Ni"), twojmax=4)),
    "snap_quadratic": lambda: calculators.SNAP(
        snap_file(("Cu", "Ni"), twojmax=2, quadraticflag=1, chemflag=1)
    ),
    "snap_zbl": lambda: calculators.SNAP(
        snap_file(("Cu", "Ni"), twojmax=4), zbl={"inner": 2.0, "outer": 4.2}
    ),
    "behler_parrinello": lambda: calculators.BehlerParrinello(
        DATA / "n2p2" / "mixed", length_unit="angstrom", energy_unit="eV"
    ),
    "ace": lambda: calculators.ACE(DATA / "ace" / "toy_Al.ace"),
    "ace_nearest": lambda: calculators.ACE(DATA / "ace" / "toy_zbl_SiOH.yace"),
    "ace_grace": lambda: calculators.ACE(DATA / "ace" / "toy_grace_AlLi.yaml"),
    "mace": mace,
    "mace_single": lambda: mace(precision="single"),
    "mace_density": lambda: mace(0, blocks=(DENSITY, DENSITY_RESIDUAL), repulsion=True),
    "mace_layers": lambda: calculators.MACE(mace_file("layers3")),
    "mace_nonlinear": lambda: calculators.MACE(mace_file("mh_like")),
    "nep_charges": lambda: calculators.NEP(DATA / "nep" / "synthetic_nep4_charge2.txt"),
    **{
        name: lambda name=name: calculators.DeepPotential(model_file(name))
        for name in (
            "se_e2_a_dt",
            "se_e2_a_float32",
            "se_e2_r",
            "se_e3",
            "hybrid",
            "dpa1_attention",
            "zbl",
            "linear",
        )
    },
}
IN_DOMAINS = [name for name in MADE if name != "lj_single"]


def system_of(calc: Any) -> Atoms:
    if isinstance(calc, calculators.DeepPotential):
        return water()
    return of_species(calc.species)
