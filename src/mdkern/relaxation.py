"""Many structures, each relaxed to its nearest minimum of energy."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sized
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from mdkern import checks
from mdkern.errors import MDKernWarning
from mdkern.io.labels import drop_labels
from mdkern.optimize.base import RelaxationError
from mdkern.relaxation_job import Relaxation
from mdkern.relaxation_settings import Settings
from mdkern.shards import run_job
from mdkern.terminal import Progress
from mdkern.worker import Failure

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["outcome", "relax", "relax_iter"]

_INFO = ("converged", "steps", "fmax", "failed", "stopped")


def relax(
    frames: Iterable[Atoms],
    calculator: Any,
    fmax: float = 0.01,
    cell: str = "full",
    steps: int = 500,
    threads: int | None = None,
    progress: bool = False,
    *,
    optimizer: str = "fire",
    scalar_pressure: float = 0.0,
    mask: Any = None,
    hydrostatic: bool = False,
    executor: Any = None,
    journal: Any = None,
    on_error: str = "record",
) -> list[Atoms]:
    """The nearest minimum of each of many structures, several at a time, here or by the workers of an executor.

    Frames are dealt to threads as these get free, the largest first; one that is large and alone has all threads. The bits of a
    frame's result depend neither on the other frames and their order, nor on threads, workers and shards (where all workers have
    the same instruction set).

    Parameters
    ----------
    frames : iterable of ase.Atoms
        Left as they are. Their constraints are obeyed and kept; their own calculators do not matter.
    calculator : mdkern.calculators.Calculator
        Any other ASE calculator works too, one frame after the other, with ASE's optimizers. So do frames with constraints that
        have no native form (other than ``FixAtoms``, ``FixCom``, ``FixCartesian`` and ``FixSymmetry``).
    fmax : float
        eV/Angstrom. Converged is a frame where no force on an atom, and no row of the forces on the cell, is longer: ASE's
        criterion.
    cell : {"full", "volume", "shape", "none"}
        What of the cell relaxes, by the coordinates of ASE's ``FrechetCellFilter``: all of it, its volume (hydrostatic strain),
        its shape at constant volume, nothing.
    steps : int
        At most, of the optimizer.
    threads : int, optional
        By default :func:`mdkern.get_num_threads`; with an executor 1 for each of its workers.
    progress : bool
        Draw a bar on a terminal.
    optimizer : {"fire", "fire2", "lbfgs", "bfgs"}
        With ASE's parameters.
    scalar_pressure : float
        Outer pressure in eV/Angstrom^3 (``ase.units.GPa`` is a GPa).
    mask : array-like, optional
        Which components of the strain relax, as in ASE: six (xx, yy, zz, yz, xz, xy) or (3, 3). A cell that is not periodic in all
        directions needs one, which leaves these out.
    hydrostatic : bool
        The same as ``cell="volume"``.
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
        Threads, processes, MPI processes (mpi4py) or a cluster that work on the frames. Each worker gets the model once.
    journal : path-like, optional
        File that keeps finished frames. An interrupted call, made again with the same model and settings, takes them from there,
        by the content of the frames.
    on_error : {"record", "raise"}
        Of a frame that fails: say so in its ``info`` and in a warning at the end, or raise.

    Returns
    -------
    list of ase.Atoms
        New ones, in the order of `frames`, each with a ``SinglePointCalculator`` (``energy``, ``forces``, ``stress`` where the cell has
        a volume; without the effect of constraints) and, in ``info``,

        - ``converged`` (bool);
        - ``steps`` (int), those done;
        - ``fmax`` (float), the longest force or row of the cell at the end;
        - ``failed`` (bool): something else than the limit of steps ended it. The geometry is the last good one, with its
          results. Where there was none, as overlapping atoms or an unknown element, it is that of the frame, without a calculator;
        - ``stopped`` (str), where it did not converge: by what.

        Reference values of the frames, which are those of another geometry, are left out.

    Raises
    ------
    TypeError
        `frames` is one structure, or has something else in it; `calculator` or `executor` is none.
    ValueError
        An argument out of its range; with ``on_error="raise"`` frames that cannot be evaluated.
    WorkerError
        The executor lost a worker and does not replace it, or its workers cannot work.
    UnsupportedError
        A calculator that cannot be pickled, with an executor.
    mdkern.optimize.RelaxationError
        With ``on_error="raise"``: a frame cannot go on, such as one whose cell explodes.
    FormatError
        `journal` is no journal, or that of another model or other settings.
    """
    draw = checks.flag("progress", progress)
    known: Any = frames
    if draw and executor is None and not isinstance(frames, Sized):
        known = checks.structures("frames", frames)
    results = relax_iter(
        known, calculator, fmax, cell, steps, threads, optimizer=optimizer, scalar_pressure=scalar_pressure, mask=mask,
        hydrostatic=hydrostatic, executor=executor, journal=journal, on_error=on_error,
    )  # fmt: skip
    if not draw:
        return list(results)
    out = []
    with Progress("relax", len(known) if isinstance(known, Sized) else None) as bar:
        for frame in results:
            out.append(frame)
            if bar.due():
                bar.show(len(out))
    return out


def relax_iter(
    frames: Iterable[Atoms],
    calculator: Any,
    fmax: float = 0.01,
    cell: str = "full",
    steps: int = 500,
    threads: int | None = None,
    *,
    optimizer: str = "fire",
    scalar_pressure: float = 0.0,
    mask: Any = None,
    hydrostatic: bool = False,
    executor: Any = None,
    journal: Any = None,
    on_error: str = "record",
) -> Iterator[Atoms]:
    """:func:`relax`, frame by frame, with its arguments: no more than some are held at a time, as many as take about two seconds."""
    frames = checks.several("frames", frames)
    checks.calculator(calculator)
    if "forces" not in calculator.implemented_properties:
        raise TypeError(
            f"calculator: {type(calculator).__name__}, which has no forces; expected one that has"
        )
    if on_error not in ("raise", "record"):
        raise ValueError(f"on_error: {checks.shown(on_error)}; expected 'raise' or 'record'")
    settings = Settings.of(optimizer, fmax, steps, cell, scalar_pressure, mask, hydrostatic)
    n_threads = checks.threads(threads) or None
    job = Relaxation(calculator, settings)
    waiting: deque[Atoms] = deque()
    done = job.warned(run_job(job, _kept(frames, waiting), executor, n_threads, journal))
    return _outcomes(done, waiting, settings, on_error == "raise")


def _kept(frames: Iterable[Atoms], waiting: deque[Atoms]) -> Iterator[Atoms]:
    """Copies of the frames, which wait for their results."""
    for k, atoms in enumerate(frames):
        checks.structure(f"frames[{k}]", atoms)
        mine = atoms.copy()
        waiting.append(mine)
        yield mine


def _outcomes(
    results: Generator[dict[str, Any] | Failure],
    waiting: deque[Atoms],
    settings: Settings,
    strict: bool,
) -> Iterator[Atoms]:
    failed, first = 0, ""
    with closing(results):
        for k, result in enumerate(results):
            frame = outcome(waiting.popleft(), result, settings)
            if frame.info["failed"]:
                if strict and isinstance(result, Failure):
                    raise result.of(f"frame {k}")
                text = f"frame {k}: {frame.info['stopped']}"
                if strict:
                    error = RelaxationError(frame.info["stopped"], frame.info["steps"] + 1, None)
                    error.args = (f"frame {k}: {error}",)
                    raise error
                failed, first = failed + 1, first or text
            yield frame
    if failed:
        many = "1 frame" if failed == 1 else f"{failed:,} frames"
        text = f"{many} failed, which info['stopped'] of each has; {first}"
        warnings.warn(text, MDKernWarning, stacklevel=3)


def outcome(frame: Atoms, result: dict[str, Any] | Failure, settings: Settings) -> Atoms:
    """A frame, which is changed, with what came out of it: see :func:`relax`. ``{"error": text}`` is a failure too."""
    from ase.calculators.singlepoint import SinglePointCalculator

    frame.calc = None
    drop_labels(frame)
    for name in _INFO:  # of an earlier run
        frame.info.pop(name, None)
    if isinstance(result, Failure) or "error" in result:
        text = str(result) if isinstance(result, Failure) else str(result["error"])
        frame.info.update(converged=False, steps=0, failed=True, stopped=text)
        return frame
    frame.arrays["positions"] = np.array(result["positions"])
    frame.cell[...] = result["cell"]
    converged, failure = bool(result["converged"]), str(result["failure"])
    frame.info.update(
        converged=converged,
        steps=int(result["steps"]),
        fmax=float(result["fmax"]),
        failed=bool(failure),
    )
    if not converged:
        what = "force" if settings.cell == "none" else "force or row of the cell"
        limit = f"{settings.steps} steps did not suffice: a {what} is still {result['fmax']:.3g} eV/Angstrom"
        frame.info["stopped"] = failure or limit
    names = [name for name in ("energy", "forces", "stress") if name in result]
    values = {name: result[name] for name in names}
    frame.calc = SinglePointCalculator(frame, **values)
    return frame
