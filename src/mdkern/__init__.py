"""mdkern: fast neighbor lists, descriptors and interatomic potentials on CPUs, as ASE calculators."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdkern.errors import FormatError, MDKernError, MDKernWarning, UnsupportedError

if TYPE_CHECKING:
    from mdkern import calculators, descriptors, lammps, md, mep, optimize, potentials, reference
    from mdkern._library import get_include, get_library
    from mdkern._runtime import (
        get_isa,
        get_num_threads,
        info,
        num_threads,
        set_isa,
        set_num_threads,
    )
    from mdkern.calculators import load
    from mdkern.calculators.batch import batch
    from mdkern.evaluation import evaluate
    from mdkern.neighbors import (
        NeighborList,
        neighbor_list,
        neighbor_list_batch,
        primitive_neighbor_list,
    )
    from mdkern.relaxation import relax, relax_iter

    __version__: str

# Loaded at first use: importing mdkern stays quick, and ASE's plugin registry can look at mdkern without the compiled core.
_LAZY = {
    "__version__": "_core",
    "NeighborList": "neighbors",
    "batch": "calculators.batch",
    "evaluate": "evaluation",
    "get_include": "_library",
    "get_isa": "_runtime",
    "get_library": "_library",
    "get_num_threads": "_runtime",
    "info": "_runtime",
    "load": "calculators",
    "neighbor_list": "neighbors",
    "neighbor_list_batch": "neighbors",
    "num_threads": "_runtime",
    "primitive_neighbor_list": "neighbors",
    "relax": "relaxation",
    "relax_iter": "relaxation",
    "set_isa": "_runtime",
    "set_num_threads": "_runtime",
}
_MODULES = (
    "analysis",
    "calculators",
    "descriptors",
    "doctor",
    "fitting",
    "lammps",
    "md",
    "mep",
    "models",
    "optimize",
    "potentials",
    "reference",
    "registry",
    "tuning",
)

# A bad value must not wait for the first use to be reported. The command line reports it itself, in one line; it also may
# still choose how OpenMP's threads wait, which is settled once the core is loaded.
_is_command = Path(sys.argv[0]).name in ("mdkern", "-m") if getattr(sys, "argv", None) else False
if not _is_command and any(os.environ.get(name) for name in ("MDKERN_ISA", "MDKERN_NUM_THREADS")):
    importlib.import_module("mdkern._core")
if not _is_command and os.environ.get("MDKERN_TUNE"):
    importlib.import_module("mdkern.tuning")

__all__ = [
    "FormatError",
    "MDKernError",
    "MDKernWarning",
    "NeighborList",
    "UnsupportedError",
    "__version__",
    "batch",
    "calculators",
    "descriptors",
    "evaluate",
    "get_include",
    "get_isa",
    "get_library",
    "get_num_threads",
    "info",
    "lammps",
    "load",
    "md",
    "mep",
    "neighbor_list",
    "neighbor_list_batch",
    "num_threads",
    "optimize",
    "potentials",
    "primitive_neighbor_list",
    "reference",
    "relax",
    "relax_iter",
    "set_isa",
    "set_num_threads",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"mdkern.{name}")
    if name in _LAZY:
        value = getattr(importlib.import_module(f"mdkern.{_LAZY[name]}"), name)
        globals()[name] = value
        return value
    msg = f"module 'mdkern' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
