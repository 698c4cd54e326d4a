"""What ASE's plugin registry (experimental, since 3.27) reads; shows in ``ase info --plugins``.

Imported for every user of ASE, so it loads neither the compiled core nor the calculators: those are named as strings.
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
