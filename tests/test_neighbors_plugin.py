"""The neighbor list as a plug-in of ASE, which has a place for such after 3.29."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import ase.neighborlist
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

import mdkern


class StandIn:
    """Not ASE's class: the arguments with which packages that register there call it, and the name of the function resolved."""

    def __init__(self, name: str, *, long_name: str, citation: str, implementation: str) -> None:
        self.name, self.long_name, self.citation = name, long_name, citation
        self.path = implementation

    @property
    def implementation(self) -> Any:
        module, _, function = self.path.rpartition(".")
        return getattr(importlib.import_module(module), function)


def structure() -> Atoms:
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    atoms.set_cell(atoms.cell.array @ [[1, 0.1, 0], [0, 1, 0.2], [0, 0, 1]], scale_atoms=True)
    atoms.pbc = [True, False, True]
    atoms.rattle(0.1, seed=1)
    return atoms


def assert_same_pairs(function: Any) -> None:
    """As ASE's own function has them, by the call of its protocol."""
    atoms = structure()
    for self_interaction in (False, True):
        lists = []
        for f in (function, ase.neighborlist.neighbor_list):
            i, j, d, D, S = f("ijdDS", atoms, 4.5, self_interaction=self_interaction)
            order = np.lexsort((*S.T, j, i))
            lists.append([x[order] for x in (i, j, d, D, S)])
        assert len(lists[1][0]) > 50
        for ours, theirs in zip(*lists, strict=True):
            assert ours.dtype == theirs.dtype
            assert np.abs(ours - theirs).max() < 1e-12
    assert len(function("d", atoms, {("Cu", "Cu"): 3.0})) == len(mdkern.neighbor_list("d", atoms, 3.0))  # fmt: skip


def loaded() -> set[Any]:
    """Of the entry point, as ASE loads it."""
    module = importlib.import_module("mdkern._ase_plugin")
    plugins: set[Any] = module.__ase_plugins__
    return plugins


def test_it_registers_where_there_is_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("ase._4.plugins.neighborlist")
    module.NeighborListPlugin = StandIn  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.delitem(sys.modules, "mdkern._ase_plugin", raising=False)
    (plugin,) = (x for x in loaded() if isinstance(x, StandIn))
    assert plugin.name == "mdkern"
    assert plugin.citation
    assert plugin.implementation is mdkern.neighbor_list
    assert_same_pairs(plugin.implementation)


def test_it_does_not_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ase._4.plugins.neighborlist", None)
    monkeypatch.delitem(sys.modules, "mdkern._ase_plugin", raising=False)
    assert "mdkern" not in {x.name for x in loaded()}


def test_ase_finds_it() -> None:
    get = getattr(ase.neighborlist, "get_neighbor_list", None)
    if get is None:
        pytest.skip("this ASE has no neighbor lists of other packages; it is not after 3.29")
    assert_same_pairs(get("mdkern"))


def test_other_libraries_take_the_arrays_without_a_copy() -> None:
    """By DLPack: here NumPy's own end of it, and PyTorch's where it is."""
    arrays = mdkern.neighbor_list("ijdDS", structure(), 4.5)
    for x in arrays:
        assert np.shares_memory(np.from_dlpack(x), x)
    torch = pytest.importorskip("torch")
    for x in arrays:
        tensor = torch.from_dlpack(x)
        assert tensor.data_ptr() == x.ctypes.data
        assert tuple(tensor.shape) == x.shape
