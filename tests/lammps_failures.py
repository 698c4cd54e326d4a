"""Run by test_lammps_external.py under mpiexec: one process fails, and all of them learn it. Prints a line for each process and case."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

from lammps_cases import COMM, MADE, open_lammps, structure

from mdkern import calculators
from mdkern.lammps import attach


def say(case: str, error: BaseException, lmp: Any) -> None:
    text = (
        f"{case} {COMM.rank} step {lmp.extract_global('ntimestep')} {type(error).__name__} {error}"
    )
    for rank in range(COMM.size):
        if rank == COMM.rank:
            print(" ".join(text.split()), flush=True)
        COMM.barrier()


def on_top_of_each_other() -> Any:
    """Both in the upper half, which another process has where there are two."""
    atoms = structure("eam")
    atoms.positions[-1] = atoms.positions[-2] + [0.0, 0.0, 1e-200]
    atoms.positions[-2:] -= 1e-3
    return open_lammps(atoms, before="processors * 1 1")


def fail_in_step(coupling: Any, n: int, error: BaseException) -> None:
    """The last process fails in its n-th evaluation, when the others are already at an exchange."""
    compute, calls = coupling._model.compute, iter(range(n))

    def failing(*args: Any, **kwargs: Any) -> Any:
        if COMM.rank == COMM.size - 1 and next(calls, None) is None:
            raise error
        return compute(*args, **kwargs)

    coupling._model.compute = failing


def first_step() -> None:
    lmp = on_top_of_each_other()
    coupling = attach(lmp, MADE["eam"]())
    try:
        lmp.command("run 0")
    except Exception as e:  # noqa: BLE001
        say("setup", e, lmp)
    assert type(coupling.error).__name__ in ("NonFiniteError", "RankError")
    # With the reason gone it goes on.
    lmp.commands_string(
        "group one id 1:143\ngroup two subtract all one\ndelete_atoms group two compress no\nrun 5"
    )
    say("later", coupling.error or KeyError("none"), lmp)


def as_context() -> None:
    lmp = on_top_of_each_other()
    try:
        with attach(lmp, MADE["eam"]()):
            lmp.command("run 10")
    except Exception as e:  # noqa: BLE001
        say("context", e, lmp)


def in_a_run(case: str, command: str, error: BaseException) -> None:
    lmp = open_lammps(structure("eam"))
    coupling = attach(lmp, MADE["eam"]())
    fail_in_step(coupling, 6, error)
    lmp.command("fix move all nve")
    try:
        lmp.command(command)
    except Exception as e:  # noqa: BLE001
        say(case, e, lmp)


def too_far() -> None:
    """LAMMPS's skin is larger than what ghosts were asked for with."""
    lmp = open_lammps(structure("eam"))
    lmp.commands_string("pair_style lj/cut 2.0\npair_coeff * * 0.0 2.2\nneighbor 3.0 bin")
    try:
        with attach(lmp, MADE["eam"](), lammps_skin=0.1):
            lmp.commands_string("velocity all create 2000 17\nfix move all nve\nrun 100")
    except Exception as e:  # noqa: BLE001
        say("skin", e, lmp)


def respa() -> None:
    lmp = open_lammps(structure("eam"))
    lmp.commands_string("run_style respa 2 2 pair 1")
    try:
        with attach(lmp, MADE["eam"]()):
            lmp.command("run 2")
    except Exception as e:  # noqa: BLE001
        say("respa", e, lmp)


def without_tags() -> None:
    lmp = open_lammps()
    lmp.commands_string("""
        units metal
        atom_modify id no
        region box block 0 20 0 20 0 20
        create_box 1 box
        mass 1 63.546
        create_atoms 1 single 1 1 1
    """)
    try:
        with attach(lmp, MADE["eam"]()):
            lmp.command("run 0")
    except Exception as e:  # noqa: BLE001
        say("tags", e, lmp)


def refused(case: str, calculator: Any, commands: str = "", **options: Any) -> None:
    """Before anything of LAMMPS is changed."""
    lmp = open_lammps(structure("eam"))
    if commands:
        lmp.commands_string(commands)
    fixes = lmp.available_ids("fix")
    try:
        attach(lmp, calculator, **options)
    except Exception as e:  # noqa: BLE001
        say(case, e, lmp)
    assert lmp.available_ids("fix") == fixes
    assert lmp.extract_global("pair_style") == "none"


def labelled() -> None:
    lmp = open_lammps(structure("eam"))
    lmp.commands_string("labelmap atom 1 Ni 2 Cu")
    say("labels", KeyError(attach(lmp, MADE["eam"]()).elements), lmp)


def nothing_is_left() -> None:
    """Of a LAMMPS that is closed while a calculator is attached, and of one that goes out of use."""
    lmp = open_lammps(structure("eam"))
    with attach(lmp, MADE["eam"]()):
        lmp.close()
    lmp = open_lammps(structure("eam"))
    attach(lmp, MADE["eam"]())
    lmp.command("run 0")
    gone = weakref.ref(lmp)
    del lmp
    gc.collect()
    assert gone() is None


CASES: tuple[Callable[[], None], ...] = (
    first_step,
    as_context,
    lambda: in_a_run("run", "run 100", ValueError("no more")),
    lambda: in_a_run("minimize", "minimize 0 0 100 100", ValueError("no more")),
    lambda: in_a_run("interrupt", "run 100", KeyboardInterrupt()),
    too_far,
    without_tags,
    respa,
    labelled,
    nothing_is_left,
    lambda: refused("none", object()),
    lambda: refused("file", calculators.ModelDeviation([MADE["eam"](), MADE["eam"]()])),
    lambda: refused("few", MADE["eam"](), types=["Cu"]),
    lambda: refused("text", MADE["eam"](), types="Cu"),
    lambda: refused("element", MADE["eam"](), types=["Cu", "Zn"]),
    lambda: refused("mass", MADE["eam"](), "mass 2 61.0"),
    lambda: refused("units", MADE["eam"](), "clear\nunits real"),
    lambda: refused("box", MADE["eam"](), "clear\nunits metal"),
    lambda: refused("id", MADE["eam"](), "fix mdkern all nve"),
    lambda: refused("name", MADE["eam"](), fix_id="a b"),
)

if __name__ == "__main__":
    for call in CASES:
        call()
