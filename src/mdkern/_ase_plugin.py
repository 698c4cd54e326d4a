"""What ASE's plugin registry (experimental, since 3.27) reads; shows in ``ase info --plugins``.

Imported for every user of ASE, so it loads neither the compiled core nor the calculators: those are named as strings.
"""

from __future__ import annotations

from typing import Any

__ase_plugins__: set[Any] = set()

try:
    from ase._4.plugins.plugin import CalculatorPlugin
except ImportError:  # an ASE without this registry
    pass
else:
    for _name, _class, _citation in (
        ("mdkern-lj", "LennardJones", "J. E. Lennard-Jones, Proc. Phys. Soc. 43, 461 (1931)"),
        ("mdkern-morse", "Morse", "P. M. Morse, Phys. Rev. 34, 57 (1929)"),
        (
            "mdkern-buckingham",
            "Buckingham",
            "R. A. Buckingham, Proc. R. Soc. London A 168, 264 (1938)",
        ),
        ("mdkern-nep", "NEP", "Z. Fan et al., J. Chem. Phys. 157, 114801 (2022)"),
        (
            "mdkern-nep-tensor",
            "NEPTensor",
            "N. Xu et al., J. Chem. Theory Comput. 20, 3273 (2024)",
        ),
        ("mdkern-deepmd", "DeepPotential", "L. Zhang et al., Phys. Rev. Lett. 120, 143001 (2018)"),
        (
            "mdkern-model-deviation",
            "ModelDeviation",
            "Y. Zhang et al., Comput. Phys. Commun. 253, 107206 (2020)",
        ),
        (
            "mdkern-linear",
            "LinearModel",
            "A. P. Bartok, R. Kondor and G. Csanyi, Phys. Rev. B 87, 184115 (2013)",
        ),
        ("mdkern-eam", "EAM", "M. S. Daw and M. I. Baskes, Phys. Rev. B 29, 6443 (1984)"),
    ):
        __ase_plugins__.add(
            CalculatorPlugin(
                _name, citation=_citation, implementation=f"mdkern.calculators.{_class}"
            )
        )
