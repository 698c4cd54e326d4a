"""What ASE's plugin registry (experimental) reads: calculators since 3.27, shown by ``ase info --plugins``, neighbor lists after 3.29.

Imported for every user of ASE, so it loads neither the compiled core nor the calculators: what is there is named as strings.
"""

from __future__ import annotations

from typing import Any

from mdkern.registry import entries

__ase_plugins__: set[Any] = set()

try:
    from ase._4.plugins.plugin import CalculatorPlugin
except ImportError:  # an ASE without this registry
    pass
else:
    for _entry in entries():
        __ase_plugins__.add(
            CalculatorPlugin(
                _entry.ase_name,
                citation=_entry.citation,
                implementation=f"mdkern.calculators.{_entry.calculator}",
            )
        )

try:
    from ase._4.plugins.neighborlist import NeighborListPlugin
except ImportError:  # an ASE without neighbor lists in it
    pass
else:
    __ase_plugins__.add(
        NeighborListPlugin(
            "mdkern",
            long_name="mdkern's neighbor list, on all cores",
            citation="https://github.com/mdkern/mdkern",
            implementation="mdkern.neighbors.neighbor_list",
        )
    )
