"""The one binding of potentials: fields, workspaces, two potentials on one table."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from deepmd_data import model_file
from potentials_data import MADE

from mdkern import _core
from mdkern.potentials import EAM, NEP, Buckingham, DeepPotential, LennardJones, Morse
from mdkern.potentials.base import SpeciesMap

pytestmark = pytest.mark.quick


def table_of(atoms: Any, potential: Any, cutoff: float) -> Any:
    table = _core.NeighborTable(cutoff, 0.3)
    kinds = SpeciesMap(potential.species)(atoms.numbers)
    table.update(atoms.positions, atoms.cell.array, atoms.pbc, kinds, 1)
    return table


def values(result: Any) -> list[bytes]:
    return [np.asarray(x).tobytes() for x in (result.energies, result.forces, result.virial)]


def test_the_core_has_these_potentials() -> None:
    assert set(_core.potential_names()) >= {
        "lennard_jones",
        "morse",
        "buckingham",
        "eam",
        "nep",
        "mace",
    }


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("nothing", {}, "potential: 'nothing'; expected one of .*buckingham, .*eam"),
        ("buckingham", {"cutoff": 5.0}, "table: missing; expected an array"),
        ("buckingham", {"cutoff": 5.0, "table": np.zeros((2, 1, 8))}, r"table: shape \(2, 1, 8\)"),
        ("buckingham", {"table": np.zeros((1, 1, 8))}, "cutoff: missing"),
        (
            "buckingham",
            {"cutoff": 5.0, "table": np.zeros((1, 1, 8), np.float32)},
            "table: float32; expected float64",
        ),
        (
            "lennard_jones",
            {"cutoff": 5.0, "table": np.zeros((1, 1, 8)), "style": 3, "single": False},
            "style: 3; expected 0 to 2",
        ),
        ("morse", {"D": "deep"}, "D: missing; expected an array or a number"),
        ("morse", {"D": np.zeros(2)}, r"D: shape \(2\); expected \(\)"),
    ],
)
def test_fields_are_checked(name: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _core.Potential({"potential": name} | fields)


def test_fields_of_other_types_are_refused() -> None:
    with pytest.raises(TypeError, match="D: expected a number, a text, or a C-contiguous array"):
        _core.Potential({"potential": "morse", "D": {1, 2}})
    with pytest.raises(TypeError, match="table: expected"):
        _core.Potential({"potential": "buckingham", "table": np.zeros((8, 1, 1)).T[:, :, ::2]})
    with pytest.raises(ValueError, match="D: missing"):  # None is no field
        _core.Potential({"potential": "morse", "D": None})


def test_places_within_a_models_arrays_are_checked() -> None:
    path = Path(__file__).parent / "data" / "nep" / "synthetic_nep4_highorder.txt"
    fields = NEP(path).fields()
    fields["potential"] = "nep"
    _core.Potential(fields)
    for name, wrong in (("map", 1000), ("terms", -1), ("bodies", 1000)):
        bad = fields[name].copy()
        assert bad.size, name
        bad.flat[-1] = wrong
        with pytest.raises(ValueError, match=f"{name}: {wrong}; expected"):
            _core.Potential({**fields, name: bad})


@pytest.mark.parametrize(
    ("place", "wrong", "message"),
    [
        (("layers", 1, "paths"), 7, "layers.1.paths: 7; expected"),
        (("layers", 1, "cg_index"), 1000, "layers.1.cg_index: 1000; expected"),
        (("layers", 1, "cg_index"), -1, "layers.1.cg_index: -1; expected"),
        (("layers", 0, "product", 0, "3", "index"), 1000, "product.0.3.index: 1000; expected"),
        (("layers", 1, "skip_from"), 5, "layers.1.skip_from: 5; expected"),
        (("layers", 1, "l_up"), 2, "layers.1.l_up: 2; expected the irreps of the layer before"),
        (("readouts", 1, "layer"), 2, "readouts.1.layer: 2; expected 0 to 1"),
        (("readouts", 1, "activation"), "relu", "'relu'; expected silu, tanh or sigmoid"),
        (("radial", "p"), 1000, "radial.p: 1000; expected 1 to 100"),
        (("cutoff",), 0.0, "cutoff: 0; expected"),
    ],
)
def test_what_a_mace_model_counts_with_is_checked(
    place: tuple[Any, ...], wrong: Any, message: str
) -> None:
    fields = MADE["mace"]().potential.core_fields()
    _core.Potential(fields)
    *groups, name = place
    inner: Any = fields
    for key in groups:
        inner = inner[key]
    if isinstance(inner[name], np.ndarray):
        inner[name] = inner[name].copy()
        inner[name].flat[-1] = wrong
    else:
        inner[name] = wrong
    with pytest.raises(ValueError, match=message):
        _core.Potential(fields)


def test_the_core_keeps_its_own_copy_of_the_fields() -> None:
    potential = Buckingham(A=1000.0, rho=0.3, C=0.0, rc=5.0)
    atoms = bulk("Ar", cubic=True, a=5.3)
    table = table_of(atoms, potential, 5.0)
    before = values(potential.compute(table))
    potential._table[:] = np.nan
    assert values(potential.compute(table)) == before


@pytest.mark.parametrize(
    "make",
    [
        lambda: LennardJones(sigma=2.3, epsilon=0.2, rc=5.0),
        lambda: Morse(D=0.34, alpha=1.36, r0=2.87, rc=5.0),
        lambda: EAM.zhou2004(["Cu"]),
        lambda: MADE["mace"]().potential,
    ],
    ids=["lennard-jones", "morse", "eam", "mace"],
)
def test_potentials_on_one_table_do_not_disturb_each_other(make: Any) -> None:
    """Workspaces are of one potential; they go with it."""
    atoms = bulk("Cu", cubic=True) * 3
    atoms.rattle(0.1, seed=1)
    potential, others = make(), [make() for _ in range(3)]
    table = table_of(atoms, potential, 6.5)
    alone = values(potential.compute(table))
    for other in [*others, *[EAM.zhou2004(["Cu"]) for _ in range(2)]]:
        other.compute(table)
        assert values(potential.compute(table)) == alone
    del others
    assert values(make().compute(table)) == alone


def test_no_potential_changes_the_order_of_the_tables_list() -> None:
    """A Deep Potential groups neighbors by species: in a copy, or the pair sums behind it would change."""
    net = DeepPotential(model_file("se_e2_a_dt"))
    pair = {"A": 1388.773, "rho": 0.3623, "C": 175.0, "rc": 5.5}
    ends = itertools.combinations_with_replacement(net.species, 2)
    pairs = Buckingham(pairs={"-".join(e): pair for e in ends})
    rng = np.random.default_rng(5)
    atoms = bulk("Ar", cubic=True, a=5.3) * 2
    atoms.rattle(0.3, rng=rng)
    atoms.symbols[:] = rng.choice(net.species, len(atoms))
    order = SpeciesMap(net.species)(atoms.numbers)
    table = _core.NeighborTable(max(net.cutoff, pairs.cutoff), 0.3)
    table.update(atoms.positions, atoms.cell.array, atoms.pbc, order, 1)
    before = values(pairs.compute(table))
    net.compute(table)
    assert values(pairs.compute(table)) == before


def test_a_table_for_potentials_has_no_arrays() -> None:
    """It keeps no positions by which the pairs of its skin could be pruned."""
    atoms = bulk("Cu")
    table = _core.NeighborTable(4.0, 0.3)
    table.update(atoms.positions, atoms.cell.array, atoms.pbc, np.zeros(1, np.int32), 1)
    with pytest.raises(ValueError, match="exact: False, of a table with a skin; expected True"):
        table.arrays("ij", 1)
