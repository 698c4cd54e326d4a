"""Cases of Stillinger-Weber and Tersoff for make_lammps_references.py, on the made-up files of tests/data/classical."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).resolve().parent.parent / "tests" / "data" / "classical"


def cases(add: Callable[..., Any]) -> None:
    """Each style of LAMMPS, with one element and with several."""

    def case(name: str, calculator: str, style: str, file: str, elements: list[str]) -> None:
        add(name, calculator, {"path": file, "elements": elements}, elements, 4.2,
            [f"pair_style {style}", f"pair_coeff * * {_FOLDER}/{file} {' '.join(elements)}"])  # fmt: skip

    case("sw_two_elements", "StillingerWeber", "sw", "toy_GaAs.sw", ["As", "Ga"])
    case("sw_one_of_two", "StillingerWeber", "sw", "toy_GaAs.sw", ["Ga"])
    case("sw_tol", "StillingerWeber", "sw", "toy_Ga_tol.sw", ["Ga"])
    case("tersoff_two_elements", "Tersoff", "tersoff", "toy_SiC.tersoff", ["Si", "C"])
    case("tersoff_one_element", "Tersoff", "tersoff", "toy_Si.tersoff", ["Si"])
    case("tersoff_mod_two_elements", "Tersoff", "tersoff/mod", "toy_SiC.tersoff.mod", ["C", "Si"])
    case("tersoff_modc_one_element", "Tersoff", "tersoff/mod/c", "toy_Si.tersoff.modc", ["Si"])
    case("tersoff_zbl_two_elements", "Tersoff", "tersoff/zbl", "toy_SiC.tersoff.zbl", ["Si", "C"])
    # Numbers of a pair that differ between both directions: LAMMPS takes one of them.
    case("sw_by_index", "StillingerWeber", "sw", "toy_GaAs_tol.sw", ["Ga", "As"])
    case("tersoff_modc_by_index", "Tersoff", "tersoff/mod/c", "toy_GaAs.tersoff.modc", ["Ga", "As"])
    case("tersoff_zbl_by_index", "Tersoff", "tersoff/zbl", "toy_GaAs.tersoff.zbl", ["Ga", "As"])
