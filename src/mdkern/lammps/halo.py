"""Processes that work on one system: agreement on errors, and the way between ghosts and the atoms that they stand for."""

from __future__ import annotations

import sys
import time
import traceback
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Halo", "RankError", "Ranks", "abort"]

Array = NDArray[Any]


class RankError(RuntimeError):
    """Another process failed; the text says which, and why."""


def abort(comm: Any) -> None:
    """End all processes of a communicator, with the traceback of the exception that is being handled."""
    sys.stderr.write(traceback.format_exc())
    sys.stderr.flush()
    time.sleep(0.3)  # mpiexec ends at once, and drops what it has not passed on by then
    comm.Abort(1)


class Ranks:
    """The processes of one communicator of mpi4py; None: this one alone.

    An error in one process must not leave the others waiting in a communication that it does not reach. So all of them call :meth:`agree`
    before each communication; a process that fails calls :meth:`fail` instead, and the others learn it there.
    """

    def __init__(self, comm: Any | None) -> None:
        self.comm = comm if comm is not None and comm.Get_size() > 1 else None
        self.size = 1 if self.comm is None else int(self.comm.Get_size())
        self.rank = 0 if self.comm is None else int(self.comm.Get_rank())

    def agree(self, values: Array | None = None) -> Array:
        """The sums of 7 values over all processes; RankError in all of them where one has failed."""
        mine = np.zeros(8)
        if values is not None:
            mine[:7] = values
        if self.comm is None:
            return mine[:7]
        sums = np.empty(8)
        self.comm.Allreduce(mine, sums)
        if sums[7] > 0.0:
            raise self._of_all(None)
        return sums[:7]

    def fail(self, error: BaseException) -> BaseException:
        """Tell the others, who are at their next :meth:`agree`. Returns the error that this process has to report."""
        if self.comm is None:
            return error
        mine, sums = np.zeros(8), np.empty(8)
        mine[7] = 1.0
        self.comm.Allreduce(mine, sums)
        self._of_all(error)
        return error

    def _of_all(self, error: BaseException | None) -> RankError:
        assert self.comm is not None
        mine = None if error is None else f"{type(error).__name__}: {error}"
        texts = self.comm.allgather(mine)
        rank = next(k for k, text in enumerate(texts) if text is not None)
        return RankError(f"process {rank}: {texts[rank]}")

    def add_up(self, values: Array) -> None:
        """Give an array of numbers, in place, the sums over all processes."""
        if self.comm is not None:
            sums = np.empty_like(values)
            self.comm.Allreduce(np.ascontiguousarray(values), sums)
            values[:] = sums

    def exchange(self, parts: list[Any]) -> list[Any]:
        """Part r of each process to process r; any objects."""
        return parts if self.comm is None else list(self.comm.alltoall(parts))

    def exchange_rows(self, rows: Array, n_sent: Array, n_received: Array) -> Array:
        """Rows (sum(n_sent), width) of numbers, those for process 0 first, to their processes; returns (sum(n_received), width)."""
        if self.comm is None:
            return rows
        width = rows.shape[1]
        out = np.empty((int(n_received.sum()), width))
        self.comm.Alltoallv([rows, width * n_sent], [out, width * n_received])
        return out


class Halo:
    """Which row of which process each ghost stands for. All processes make it together.

    Parameters
    ----------
    ranks : Ranks
    own, ghosts : arrays of int
        Numbers (tags) of the own atoms, each in one process and once, and of the ghosts. In arrays of rows the ghosts are behind the own atoms.

    Attributes
    ----------
    error : ValueError or None
        A ghost here stands for nobody's atom. It is raised by the caller, at an agreement.
    """

    def __init__(self, ranks: Ranks, own: Array, ghosts: Array) -> None:
        self._ranks, self._n_own = ranks, len(own)
        # Process tag % size knows where an atom is: each asks there for its ghosts, then the owners for their values.
        keeper = own % ranks.size
        told = ranks.exchange(
            [(own[at], at) for at in (np.flatnonzero(keeper == r) for r in range(ranks.size))]
        )
        tags = np.concatenate([tags for tags, _ in told])
        place = np.concatenate([np.column_stack([np.full(len(at), r), at]) for r, (_, at) in enumerate(told)])  # fmt: skip
        order = np.argsort(tags, kind="stable")
        keeper = ghosts % ranks.size
        asked = ranks.exchange([ghosts[keeper == r] for r in range(ranks.size)])
        answers = ranks.exchange([_found(tags, place, order, wanted) for wanted in asked])
        owner = np.empty((len(ghosts), 2), dtype=np.int64)
        for r, answer in enumerate(answers):
            owner[keeper == r] = answer
        lost = owner[:, 0] < 0
        self.error: ValueError | None = None
        if lost.any():
            self.error = ValueError(
                f"ghost with the tag {ghosts[np.argmax(lost)]} is no atom that takes part"
            )
            owner[lost] = (ranks.rank, 0)
        self._ghost_at = np.argsort(owner[:, 0], kind="stable")
        self._n_ghosts = np.bincount(owner[:, 0], minlength=ranks.size)
        rows = np.split(owner[self._ghost_at, 1], np.cumsum(self._n_ghosts)[:-1])
        wanted = ranks.exchange(rows)
        self._own_at = np.concatenate(wanted)
        self._n_copies = np.array([len(x) for x in wanted])

    def forward(self, values: Array) -> None:
        """Give ghosts the values of their atoms; `values` is (n_own + n_ghosts, width)."""
        values[self._n_own + self._ghost_at] = self._ranks.exchange_rows(
            values[self._own_at], self._n_copies, self._n_ghosts
        )

    def reverse(self, values: Array) -> Array:
        """(n_own, width): the values of own atoms, with those of all ghosts that stand for them."""
        at_home = self._ranks.exchange_rows(
            values[self._n_own + self._ghost_at], self._n_ghosts, self._n_copies
        )
        out: Array = values[: self._n_own].copy()
        for c in range(values.shape[1]):
            out[:, c] += np.bincount(self._own_at, at_home[:, c], self._n_own)
        return out


def _found(tags: Array, place: Array, order: Array, wanted: Array) -> Array:
    """(process, row) of each wanted tag; -1 where there is none."""
    out = np.full((len(wanted), 2), -1, dtype=np.int64)
    at = np.searchsorted(tags, wanted, sorter=order)
    there = at < len(tags)
    there[there] = tags[order[at[there]]] == wanted[there]
    out[there] = place[order[at[there]]]
    return out
