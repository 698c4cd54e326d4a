"""Model files and the C interface: the bits of the calculators, without Python; two domains with ghosts; what is refused."""

from __future__ import annotations

import ctypes
import os
import pickle
import shutil
import subprocess
from pathlib import Path
from typing import Any

import messages_data
import numpy as np
import pytest
from ase import Atoms
from contracts import evaluate
from numpy.typing import NDArray
from potentials_data import IN_DOMAINS, MADE, copper_nickel, system_of
from programs_data import EMULATOR, SANITIZED

import mdkern
from mdkern import calculators
from mdkern.errors import FormatError
from mdkern.io.mdk import read_model_file, write_model_file

pytestmark = pytest.mark.quick
ROOT = Path(__file__).parent.parent
DATA = Path(__file__).parent / "data"


def results(calc: Any, atoms: Atoms) -> dict[str, Any]:
    atoms = atoms.copy()
    atoms.calc = calc
    return {
        "energy": atoms.get_potential_energy(),
        "energies": atoms.get_potential_energies(),
        "forces": atoms.get_forces(),
        "stress": atoms.get_stress(),
        "stresses": atoms.get_stresses(),
    }


@pytest.mark.parametrize("name", MADE)
def test_a_model_file_gives_the_bits_of_what_was_exported(name: str, tmp_path: Path) -> None:
    calc = MADE[name]()
    path = tmp_path / "model.mdk"
    calc.potential.export(path)
    again = mdkern.load(path)
    assert isinstance(again, calculators.StoredModel)
    assert again.species == calc.species
    assert again.cutoff == calc.cutoff
    atoms = system_of(calc)
    expected = results(calc, atoms)
    for stored in (again, pickle.loads(pickle.dumps(again))):
        for key, value in results(stored, atoms).items():
            np.testing.assert_array_equal(value, expected[key], key)
    (frame,), (original,) = mdkern.evaluate([atoms], again), mdkern.evaluate([atoms], calc)
    assert frame["energy"] == original["energy"]


# --- the program in C ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """examples/c/two_domains.c, built as its first lines say."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    if SANITIZED:
        pytest.skip("the library needs the sanitizers' own runtime first")
    library = mdkern.get_library()
    out = tmp_path_factory.mktemp("c") / "two_domains"
    strict = ["-O2", "-Wall", "-Wextra", "-Werror"]
    source = ROOT / "examples" / "c" / "two_domains.c"
    place = [
        f"-I{mdkern.get_include()}",
        str(source),
        library,
        f"-Wl,-rpath,{Path(library).parent}",
    ]
    subprocess.run([compiler, *strict, *place, "-lm", "-lpthread", "-o", str(out)], check=True)
    return out


def run_program(
    program: Path, calc: Any, atoms: Atoms, folder: Path, preload: Path | None = None
) -> dict[str, Any]:
    if preload is None:
        calc.potential.export(folder / "model.mdk")
    kinds = [0 if calc.species is None else calc.species.index(s) for s in atoms.symbols]
    lines = [str(len(atoms)), *(" ".join(map(repr, v)) for v in atoms.cell.array.tolist())]
    lines += [
        f"{t} " + " ".join(map(repr, x))
        for t, x in zip(kinds, atoms.positions.tolist(), strict=True)
    ]
    (folder / "system.txt").write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        [*EMULATOR, str(program), "model.mdk", "system.txt"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "MDKERN_ISA": mdkern.get_isa(),
            **({"LD_PRELOAD": str(preload)} if preload else {}),
        },
    )
    assert done.returncode == 0, done.stderr
    out: dict[str, Any] = {}
    rows = done.stdout.splitlines()
    for k in (0, len(atoms) + 1):
        name, energy = rows[k].split()
        table = [
            [float.fromhex(x) for x in row.split()] for row in rows[k + 1 : k + 1 + len(atoms)]
        ]
        out[name] = (float.fromhex(energy), np.array(table)[:, 0], np.array(table)[:, 1:])
    return out


@pytest.mark.parametrize("name", IN_DOMAINS)
def test_a_program_in_c(name: str, program: Path, tmp_path: Path) -> None:
    """The whole system has the calculator's bits; two domains sum in another order."""
    calc = MADE[name]()
    atoms = system_of(calc)
    expected = results(calc, atoms)
    found = run_program(program, calc, atoms, tmp_path)
    energy, energies, forces = found["whole"]
    assert energy == expected["energy"]
    np.testing.assert_array_equal(energies, expected["energies"])
    np.testing.assert_array_equal(forces, expected["forces"])
    single = name.endswith("_single")
    energy, energies, forces = found["domains"]
    scale = np.abs(expected["forces"]).max()
    near = np.abs(expected["energies"]).max()
    np.testing.assert_allclose(
        energies, expected["energies"], rtol=0, atol=(1e-5 if single else 1e-13) * near
    )
    np.testing.assert_allclose(
        forces, expected["forces"], rtol=0, atol=(1e-5 if single else 1e-12) * scale
    )
    assert energy == pytest.approx(expected["energy"], rel=1e-6 if single else 1e-12)


def test_messages_between_domains(program: Path, tmp_path: Path) -> None:
    """A potential that needs values of ghosts added up, in a cell whose atoms have several images each."""
    library = messages_data.build(tmp_path)
    messages_data.write_model(tmp_path / "model.mdk")
    calc = messages_data.load(library, tmp_path / "model.mdk")
    for atoms in (copper_nickel(), copper_nickel()[:5]):
        if len(atoms) == 5:
            atoms.set_cell([[3.9, 0, 0], [0.4, 4.1, 0], [0.2, -0.3, 5.0]])
        expected = results(calc, atoms)
        way = np.random.default_rng(2).normal(size=(len(atoms), 3))
        sides = []
        for step in (1e-4, -1e-4):
            moved = atoms.copy()
            moved.positions += step * way
            sides.append(calc.get_potential_energy(moved))
        slope = (sides[0] - sides[1]) / 2e-4
        assert slope == pytest.approx(-(expected["forces"] * way).sum(), rel=1e-6)
        found = run_program(program, calc, atoms, tmp_path, library)
        energy, energies, forces = found["whole"]
        assert energy == expected["energy"]
        np.testing.assert_array_equal(forces, expected["forces"])
        energy, energies, forces = found["domains"]
        assert np.abs(expected["forces"]).max() > 1e-3
        np.testing.assert_allclose(energies, expected["energies"], rtol=1e-12)
        np.testing.assert_allclose(
            forces, expected["forces"], rtol=0, atol=1e-12 * np.abs(expected["energies"]).max()
        )
        assert energy == pytest.approx(expected["energy"], rel=1e-12)


# --- what is refused, by ctypes -------------------------------------------------------------------


class CAtoms(ctypes.Structure):
    _fields_ = (
        ("n_own", ctypes.c_int64),
        ("n_all", ctypes.c_int64),
        ("x", ctypes.c_void_p),
        ("type", ctypes.c_void_p),
        ("cell", ctypes.c_void_p),
        ("pbc", ctypes.c_void_p),
    )


class CList(ctypes.Structure):
    _fields_ = (
        ("first", ctypes.c_void_p),
        ("index", ctypes.c_void_p),
        ("ilist", ctypes.c_void_p),
        ("numneigh", ctypes.c_void_p),
        ("firstneigh", ctypes.c_void_p),
        ("mask", ctypes.c_int32),
        ("changed", ctypes.c_int),
        ("half", ctypes.c_int),
    )


FORWARD = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_double), ctypes.c_int, ctypes.c_int
)


class CExchange(ctypes.Structure):
    _fields_ = (
        ("forward", FORWARD),
        ("reverse", FORWARD),
        ("sum", ctypes.c_void_p),
        ("user", ctypes.c_void_p),
    )


class CResults(ctypes.Structure):
    _fields_ = (
        ("energy", ctypes.c_double),
        ("virial", ctypes.c_double * 6),
        ("energies", ctypes.c_void_p),
        ("forces", ctypes.c_void_p),
        ("virials", ctypes.c_void_p),
        ("charges", ctypes.c_void_p),
        ("overflow", ctypes.c_int),
        ("forces_alone", ctypes.c_int),
    )


OK, INVALID, READ, FORMAT, _, NOT_FINITE, EXCHANGE = range(7)


class Model:
    """One model and one workspace through the C interface."""

    def __init__(self, path: Path) -> None:
        self.lib = ctypes.CDLL(mdkern.get_library())
        self.lib.mdkern_error_message.restype = ctypes.c_char_p
        self.lib.mdkern_model_cutoff.restype = ctypes.c_double
        self.lib.mdkern_model_species.restype = ctypes.c_char_p
        self.model, self.space = ctypes.c_void_p(), ctypes.c_void_p()
        self.status = self.lib.mdkern_model_open(os.fsencode(path), ctypes.byref(self.model))
        if self.status == OK:
            assert self.lib.mdkern_workspace_create(self.model, ctypes.byref(self.space)) == OK

    def message(self) -> str:
        return str(self.lib.mdkern_error_message().decode())

    def close(self) -> None:
        self.lib.mdkern_workspace_destroy(self.space)
        self.lib.mdkern_model_close(self.model)

    def cluster(
        self,
        x: NDArray[Any],
        kinds: list[int],
        lists: list[list[int]],
        *,
        n_own: int | None = None,
        changed: int = 1,
        forward: Any = None,
        reverse: Any = None,
        lammps: bool = False,
        mask: int = 0,
        half: int = 0,
        forces_alone: bool = False,
        cell: NDArray[Any] | None = None,
        pbc: NDArray[Any] | None = None,
        ilist: list[int] | None = None,
    ) -> tuple[int, CResults, NDArray[Any], NDArray[Any], NDArray[Any]]:
        n = len(x)
        own = n if n_own is None else n_own
        x, t = np.ascontiguousarray(x, float), np.array(kinds, np.int32)
        first = np.cumsum([0, *map(len, lists)]).astype(np.int64)
        index = np.array([j for row in lists for j in row], np.int32)
        count = np.array([len(row) for row in lists], np.int32)
        order = np.arange(own, dtype=np.int32) if ilist is None else np.array(ilist, np.int32)
        rows = (ctypes.c_void_p * max(own, 1))(
            *(index.ctypes.data + 4 * int(f) for f in first[:own])
        )
        c_list = CList(first.ctypes.data, index.ctypes.data, None, None, None, mask, changed, half)
        if lammps:
            c_list = CList(None, None, order.ctypes.data, count.ctypes.data, ctypes.cast(rows, ctypes.c_void_p), mask, changed, half)  # fmt: skip
        e, f, w = np.full(own, np.nan), np.full((n, 3), np.nan), np.full((n, 6), np.nan)
        wanted = (
            (None, f.ctypes.data, None) if forces_alone else tuple(a.ctypes.data for a in (e, f, w))
        )
        r = CResults(1.0, (ctypes.c_double * 6)(*[1.0] * 6), *wanted, None, 0, int(forces_alone))
        c_atoms = CAtoms(
            own,
            n,
            x.ctypes.data,
            t.ctypes.data,
            *(None if a is None else a.ctypes.data for a in (cell, pbc)),
        )
        callbacks = [FORWARD() if call is None else FORWARD(call) for call in (forward, reverse)]
        exchange = ctypes.byref(CExchange(*callbacks, None, None)) if forward or reverse else None
        status = self.lib.mdkern_compute(
            self.model, self.space, ctypes.byref(c_atoms), ctypes.byref(c_list), exchange, 1, ctypes.byref(r)
        )  # fmt: skip
        return status, r, e, f, w


@pytest.fixture
def eam(tmp_path: Path) -> Any:
    MADE["zhou2004"]().potential.export(tmp_path / "eam.mdk")
    made = Model(tmp_path / "eam.mdk")
    yield made
    made.close()


TRIANGLE = np.array([[0.0, 0, 0], [2.5, 0, 0], [0, 2.6, 0.3]])
ALL = [[1, 2], [0, 2], [0, 1]]


def nothing(*_: Any) -> int:
    return 0


def test_what_a_model_says_of_itself(eam: Model) -> None:
    assert eam.lib.mdkern_api_version() == 3
    assert eam.lib.mdkern_model_n_species(eam.model) == 2
    assert eam.lib.mdkern_model_species(eam.model, 1) == b"Ni"
    assert eam.lib.mdkern_model_species(eam.model, 2) is None
    assert eam.lib.mdkern_model_exchanges(eam.model) == 1
    assert eam.lib.mdkern_model_reverses(eam.model) == 0
    assert eam.lib.mdkern_model_exchange_width(eam.model) == 1
    assert eam.lib.mdkern_model_cutoff(eam.model) == MADE["zhou2004"]().cutoff


def test_a_cluster_as_the_calculator_has_it(eam: Model) -> None:
    status, r, e, f, w = eam.cluster(TRIANGLE, [0, 1, 0], ALL, forward=nothing)
    assert status == OK, eam.message()
    atoms = Atoms("CuNiCu", TRIANGLE)
    atoms.calc = MADE["zhou2004"]()
    assert r.energy == pytest.approx(atoms.get_potential_energy(), rel=1e-14)
    np.testing.assert_allclose(f, atoms.get_forces(), rtol=0, atol=1e-13)
    np.testing.assert_allclose(e, atoms.get_potential_energies(), rtol=1e-13)
    np.testing.assert_allclose(w.sum(axis=0), list(r.virial), rtol=0, atol=1e-13)
    virial = atoms.calc.virial.ravel()[[0, 4, 8, 5, 2, 1]]
    np.testing.assert_allclose(list(r.virial), virial, rtol=0, atol=1e-13)
    # LAMMPS's arrays, rows in another order, with bits that are not of the number.
    flagged = [[j | (1 << 30) for j in row] for row in ALL]
    other = eam.cluster(
        TRIANGLE, [0, 1, 0], flagged, forward=nothing, lammps=True, mask=0x1FFFFFFF, ilist=[2, 0, 1]
    )
    assert other[0] == OK, eam.message()
    np.testing.assert_array_equal(other[3], f)
    # The list stays while atoms move.
    moved = TRIANGLE + np.array([[0.01, 0, 0], [0, 0, 0], [0, 0.02, 0]])
    again = eam.cluster(moved, [0, 1, 0], [[], [], []], forward=nothing, changed=0)
    atoms.positions = moved
    np.testing.assert_allclose(again[3], atoms.get_forces(), rtol=0, atol=1e-13)
    # Plans that are made when it is know the types.
    assert eam.cluster(moved, [0, 0, 0], [[], [], []], forward=nothing, changed=0)[0] == INVALID
    assert "type of row 1 is another than in the last call" in eam.message()


def test_a_half_list_and_forces_alone(eam: Model, tmp_path: Path) -> None:
    full = eam.cluster(TRIANGLE, [0, 1, 0], ALL, forward=nothing)
    assert eam.lib.mdkern_model_half(eam.model) == 1
    half = eam.cluster(TRIANGLE, [0, 1, 0], [[1, 2], [2], []], half=1, forward=nothing)
    assert half[0] == OK, eam.message()
    assert half[1].energy == full[1].energy
    for a, b in zip(half[2:], full[2:], strict=True):
        np.testing.assert_array_equal(a, b)
    alone = eam.cluster(TRIANGLE, [0, 1, 0], ALL, forces_alone=True, forward=nothing)
    np.testing.assert_array_equal(alone[3], full[3])
    assert alone[1].energy == 0.0
    assert list(alone[1].virial) == [0.0] * 6
    # Of the pair of an own atom and a ghost, half belongs to the other process: energies and virials of either
    # side make the whole.
    slopes: list[float] = []  # F' of the three atoms

    def keep(_user: Any, values: Any, _width: int, stride: int) -> int:
        slopes.extend(values[stride * r] for r in range(3))
        return 0

    assert eam.cluster(TRIANGLE, [0, 1, 0], ALL, forward=keep)[0] == OK, eam.message()
    sides = []
    for order, lists in (([0, 1, 2], [[1, 2], [2]]), ([2, 0, 1], [[1, 2]])):

        def forward(_user: Any, values: Any, _width: int, stride: int, order: Any = order) -> int:
            for r, atom in enumerate(order):
                values[stride * r] = slopes[atom]
            return 0

        kinds = [[0, 1, 0][atom] for atom in order]
        sides.append(
            eam.cluster(TRIANGLE[order], kinds, lists, n_own=len(lists), half=1, forward=forward)
        )
        assert sides[-1][0] == OK, eam.message()
    assert sum(r[1].energy for r in sides) == pytest.approx(full[1].energy, rel=1e-14)
    virial = np.sum([list(r[1].virial) for r in sides], axis=0)
    np.testing.assert_allclose(virial, list(full[1].virial), rtol=0, atol=1e-13)

    for lists, message in (
        ([[1, 2], [0, 2], []], "row 1 has the neighbor 0; expected a later row"),
        ([[1, 2], [3], []], "row 1 has the neighbor 3; expected a later row below n_all 3"),
    ):
        assert eam.cluster(TRIANGLE, [0, 1, 0], lists, half=1, forward=nothing)[0] == INVALID
        assert message in eam.message()
    MADE["lj"]().potential.export(tmp_path / "lj.mdk")
    lj = Model(tmp_path / "lj.mdk")
    assert lj.lib.mdkern_model_half(lj.model) == 0
    assert lj.cluster(TRIANGLE, [0, 0, 0], [[1, 2], [2], []], half=1)[0] == INVALID
    assert "half is 1; expected 0, a full list" in lj.message()
    lj.close()


def test_no_atoms_of_its_own(eam: Model) -> None:
    for x, kinds in ((np.zeros((0, 3)), []), (TRIANGLE, [0, 1, 0])):
        status, r, _, f, w = eam.cluster(x, kinds, [], n_own=0, forward=nothing)
        assert status == OK, eam.message()
        assert r.energy == 0.0
        assert list(r.virial) == [0.0] * 6
        assert not f.any()
        assert not w.any()


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"kinds": [0, 2, 0]}, INVALID, "type of row 1 is 2; expected 0 to 1"),
        ({"kinds": [0, -1, 0]}, INVALID, "type of row 1 is -1; expected 0 to 1"),
        ({"x": TRIANGLE * [1, 1, np.nan]}, INVALID, "x of row 0 is"),
        ({"lists": [[1, 3], [0], [0]]}, INVALID, "row 0 has the neighbor 3; expected another row"),
        ({"lists": [[1, -2], [0], [0]]}, INVALID, "row 0 has the neighbor -2"),
        ({"lists": [[0], [0], [0]]}, INVALID, "row 0 has the neighbor 0"),
        ({"lists": [[1, 2, 1, 2], [0], [0]]}, INVALID, "4 neighbors of row 0; expected 0 to 2"),
        ({"forward": None}, INVALID, "exchange: no forward; expected one, as the model exchanges"),
        ({"forward": lambda *_: 7}, EXCHANGE, "forward returned 7; expected 0"),
        ({"changed": 0}, INVALID, "changed is 0, and there is no list"),
        ({"lammps": True, "ilist": [0, 0, 1]}, INVALID, r"ilist[1] is 0; expected every row"),
        ({"lammps": True, "ilist": [0, 1, 3]}, INVALID, r"ilist[2] is 3; expected every row"),
        ({"n_own": 4}, INVALID, "n_own 4, n_all 3; expected 0 <= n_own <= n_all"),
        ({"x": TRIANGLE * [0, 0, 0]}, NOT_FINITE, "expected finite numbers"),
    ],
)
def test_bad_input(change: dict[str, Any], status: int, message: str, eam: Model) -> None:
    wanted: dict[str, Any] = {"x": TRIANGLE, "kinds": [0, 1, 0], "lists": ALL, "forward": nothing} | change  # fmt: skip
    if wanted.get("n_own") == 4:
        wanted["lists"] = [*ALL, []]
    found = eam.cluster(wanted.pop("x"), wanted.pop("kinds"), wanted.pop("lists"), **wanted)
    assert found[0] == status, eam.message()
    assert message in eam.message()
    # The list of a call that failed is none, and what it left behind is not taken for one.
    if wanted.get("changed") != 0 and status == INVALID:
        kept = eam.cluster(TRIANGLE, [0, 1, 0], [[], [], []], forward=nothing, changed=0)
        assert kept[0] == INVALID
        assert "there is no list" in eam.message()
    # And the workspace goes on after it.
    assert eam.cluster(TRIANGLE, [0, 1, 0], ALL, forward=nothing)[0] == OK, eam.message()


def test_a_list_of_fewer_atoms_is_not_taken_for_one_of_more(eam: Model) -> None:
    assert eam.cluster(TRIANGLE[:2], [0, 1], [[1], [0]], forward=nothing)[0] == OK
    bad = eam.cluster(TRIANGLE * [1, np.nan, 1], [0, 1, 0], ALL, forward=nothing)
    assert bad[0] == INVALID
    kept = eam.cluster(TRIANGLE, [0, 1, 0], [[], [], []], forward=nothing, changed=0)
    assert kept[0] == INVALID
    assert "there is no list" in eam.message()
    # One that failed for its positions alone, with changed 0, leaves the list.
    assert eam.cluster(TRIANGLE, [0, 1, 0], ALL, forward=nothing)[0] == OK
    bad = eam.cluster(TRIANGLE * [1, np.nan, 1], [0, 1, 0], ALL, forward=nothing, changed=0)
    assert bad[0] == INVALID
    again = eam.cluster(TRIANGLE, [0, 1, 0], [[], [], []], forward=nothing, changed=0)
    assert again[0] == OK, eam.message()
    assert np.abs(again[3]).max() > 0.0


def test_a_model_that_adds_up_values_of_ghosts(tmp_path: Path) -> None:
    library = messages_data.build(tmp_path)
    messages_data.write_model(tmp_path / "model.mdk", 21)
    calc = messages_data.load(library, tmp_path / "model.mdk")
    made = Model(tmp_path / "model.mdk")
    assert made.lib.mdkern_model_exchanges(made.model) == 2
    assert made.lib.mdkern_model_reverses(made.model) == 1
    assert made.lib.mdkern_model_exchange_width(made.model) == 21
    kinds = [0, 0, 0]
    for calls, status, message in (
        ({}, INVALID, "no forward; expected one, as the model exchanges values 2 times"),
        ({"forward": nothing}, INVALID, "no reverse; expected one, as the model adds up values of ghosts 1 times"),
        ({"forward": nothing, "reverse": lambda *_: 5}, EXCHANGE, "reverse returned 5; expected 0"),
    ):  # fmt: skip
        assert made.cluster(TRIANGLE, kinds, ALL, **calls)[0] == status
        assert message in made.message()
    # One own atom, of which two ghosts are images: what these have comes home once for each.
    x = np.array([[0.0, 0, 0], [2.5, 0, 0], [-2.5, 0, 0]])

    def forward(_user: Any, values: Any, width: int, stride: int) -> int:
        for c in range(width):
            values[stride + c] = values[2 * stride + c] = values[c]
        return 0

    def reverse(_user: Any, values: Any, width: int, stride: int) -> int:
        for c in range(width):
            values[c] += values[stride + c] + values[2 * stride + c]
        return 0

    chain = Atoms("Cu", cell=[2.5, 20, 20], pbc=[True, False, False])
    chain.calc = calc
    status, r, _, f, _ = made.cluster(x, kinds, [[1, 2]], n_own=1, forward=forward, reverse=reverse)
    assert status == OK, made.message()
    assert r.energy == pytest.approx(chain.get_potential_energy(), rel=1e-13)
    np.testing.assert_allclose(f.sum(axis=0), 0.0, atol=1e-14)
    chain.calc = None
    chain.set_cell([2.5 * 1.001, 20, 20])
    assert r.virial[0] == pytest.approx(
        -(calc.get_potential_energy(chain) - r.energy) / 1e-3, rel=1e-2
    )
    made.close()


def test_pairs_of_two_entries_where_atoms_have_no_numbers(tmp_path: Path) -> None:
    """Each direction is half of the pair, whatever an earlier call has left in the scratch."""
    calc = calculators.Tersoff(DATA / "classical" / "toy_GaAs.tersoff.zbl")
    calc.potential.export(tmp_path / "x.mdk")
    made = Model(tmp_path / "x.mdk")
    exchange = {"forward": nothing, "reverse": nothing}
    rng = np.random.default_rng(3)
    grid = np.array(list(np.ndindex(2, 2, 2))) * 2.0
    for n in (8, 3, 8):
        x, kinds = grid[:n] + rng.normal(0, 0.1, (n, 3)), [k % 2 for k in range(n)]
        lists = [[j for j in range(n) if j != i] for i in range(n)]
        status, r, _, f, _ = made.cluster(x, kinds, lists, **exchange)
        assert status == OK, made.message()
        atoms = Atoms([calc.species[k] for k in kinds], x)
        # The other order of the atoms chooses the other entry of every pair.
        a, b = evaluate(calc, atoms), evaluate(calc, atoms[::-1])
        np.testing.assert_allclose(r.energy, 0.5 * (a["energy"] + b["energy"]), rtol=1e-13)
        np.testing.assert_allclose(f, 0.5 * (a["forces"] + b["forces"][::-1]), rtol=0, atol=1e-11)
        assert abs(a["energy"] - b["energy"]) > 1e-9
    made.close()


def test_charges_need_a_cell(tmp_path: Path) -> None:
    MADE["nep_charges"]().potential.export(tmp_path / "q.mdk")
    made = Model(tmp_path / "q.mdk")
    assert made.lib.mdkern_model_long_range(made.model) == 1
    assert made.cluster(TRIANGLE, [0, 1, 0], ALL, forward=nothing)[0] == INVALID
    assert "cell: none; expected it for this model" in made.message()
    flat, open_, periodic = np.ones((3, 3)), np.array([1, 0, 1], np.int32), np.ones(3, np.int32)
    for cell, pbc, message in (
        (flat, periodic, "a cell of volume 0; expected three vectors that span one"),
        (flat * np.nan, periodic, "a cell of volume nan; expected three vectors"),
        (9.0 * np.eye(3), None, "pbc is NULL; expected it beside the cell"),
        (9.0 * np.eye(3), open_, "not periodic in all three directions"),
    ):
        found = made.cluster(TRIANGLE, [0, 1, 0], ALL, forward=nothing, cell=cell, pbc=pbc)
        assert found[0] == INVALID
        assert message in made.message()
    found = made.cluster(
        TRIANGLE, [0, 1, 0], ALL, forward=nothing, cell=9.0 * np.eye(3), pbc=periodic
    )
    assert found[0] == OK, made.message()
    made.close()


# --- files ----------------------------------------------------------------------------------------


def header_of(text: str, data: bytes = b"") -> bytes:
    return len(text).to_bytes(8, "little") + text.encode() + data


META = '"__metadata__":{"mdkern.model":"1","mdkern.species":"","mdkern.text.potential":"morse"}'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "expected 8 bytes"),
        (b"\xff" * 8, "header of 18446744073709551615 bytes; expected at most 0"),
        (header_of("{"), "header, byte 1: expected a text"),
        (header_of("{} x"), "header, byte 3: expected the end"),
        (header_of("{}"), "expected __metadata__"),
        (header_of('{"__metadata__":{}}'), "expected mdkern.model and mdkern.species"),
        (header_of("{" + META.replace('"1"', '"2"') + "}"), "mdkern.model: '2'; expected 1"),
        (header_of("{" + META + "}"), "D: missing; expected an array or a number"),
        (header_of("{" + META + "}", b"x"), "1 bytes behind the last array; expected none"),
        (
            header_of("{" + META + ',"D":{"dtype":"F64","shape":[2147483647,2147483647,4],"data_offsets":[0,8]}}', b"12345678"),
            "D: data_offsets of 8 bytes; expected as many as the shape needs",
        ),
        (
            header_of("{" + META + ',"D":{"dtype":"F64","shape":[],"data_offsets":[8,16]}}', b"12345678" * 2),
            "D: data_offsets [8, 16]; expected a begin at 0",
        ),
        (
            header_of("{" + META + ',"D":{"dtype":"F16","shape":[],"data_offsets":[0,2]}}', b"12"),
            "D: dtype 'F16'; expected F64",
        ),
        (header_of("{" + META + ',"D":{"dtype":"F64"}}'), "D: expected an object with dtype, shape"),
        (header_of("{" + META + "," + META + "}"), "expected names that are there once"),
        (header_of('{"a":{"b":{"c":{"d":{}}}}}'), "expected objects that are less deep"),
    ],
)  # fmt: skip
def test_files_that_are_refused(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.mdk"
    path.write_bytes(data)
    with pytest.raises(FormatError) as caught:
        read_model_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    made = Model(path)
    assert made.status == FORMAT
    assert message in made.message()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"none\.mdk: No such file"):
        read_model_file(tmp_path / "none.mdk")
    made = Model(tmp_path / "none.mdk")
    assert made.status == READ
    assert "No such file" in made.message()


def test_species_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "model.mdk"
    potential = MADE["zhou2004"]().potential
    write_model_file(path, potential.core_fields(), ("Cu",))
    with pytest.raises(FormatError, match=r"mdkern\.species: 1 symbols; expected 2"):
        mdkern.load(path)
    for other in ("Cx", "Cu"):
        write_model_file(path, potential.core_fields(), ("Cu", other))
        with pytest.raises(FormatError, match=rf"mdkern\.species: {other}; expected different"):
            mdkern.load(path)


@pytest.mark.parametrize(
    ("kind", "file"), [("StillingerWeber", "toy_GaAs.sw"), ("Tersoff", "toy_GaAs.tersoff.zbl")]
)
def test_tables_that_would_pass_over_neighbors(kind: str, file: str, tmp_path: Path) -> None:
    """Where a comparison with what is no number is false, energies would be finite and wrong."""
    path = tmp_path / "model.mdk"
    calc = getattr(calculators, kind)(DATA / "classical" / file)
    fields = calc.potential.core_fields()
    for name, value in (("reach2", np.nan), ("reach2", 1e6), ("pair", np.nan), ("pair", -np.inf)):
        damaged = fields[name].copy()
        damaged.flat[0] = value
        write_model_file(path, {**fields, name: damaged}, calc.species)
        with pytest.raises(FormatError, match=rf"{name}: {value:.0f}.*; expected a finite number"):
            mdkern.load(path)


def test_safetensors_layout(tmp_path: Path) -> None:
    """What other programs expect of the layout: a header that ends on a multiple of eight, arrays where it says."""
    import json

    path = tmp_path / "model.mdk"
    calc = MADE["eam"]()
    calc.potential.export(path)
    data = path.read_bytes()
    n = int.from_bytes(data[:8], "little")
    assert n % 8 == 0
    header = json.loads(data[8 : 8 + n])
    entry = header["radial"]
    begin, end = entry["data_offsets"]
    radial = np.frombuffer(data[8 + n :][begin:end], "<f8").reshape(entry["shape"])
    np.testing.assert_array_equal(radial, calc.potential.fields()["radial"])
