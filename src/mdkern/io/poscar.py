"""POSCAR and CONTCAR: what ASE reads as something else than VASP, or guesses."""

from __future__ import annotations

import re

from mdkern.errors import FormatError

__all__ = ["checked"]

_HEAD = 5  # lines: comment, scale, cell vectors
_LATTICE = 8  # lines of the block of a moving cell


def checked(path: str, name: str) -> str:
    """A sentence where the file leaves its elements to a guess.

    Parameters
    ----------
    path, name : str
        The file, and its name in messages.

    Raises
    ------
    FormatError
        A flag of ``Selective dynamics`` that fixes a coordinate for VASP and leaves it free for ASE, which knows ``F`` alone; velocities in
        units of the cell, which ASE takes for Angstrom/fs.
    """
    from ase.io.formats import open_with_compression

    with open_with_compression(path, "rb") as file:
        lines = [raw.decode("latin-1") for raw in file]
    try:
        return _checked(lines, name)
    except (IndexError, ValueError) as e:  # no such file: ASE says why
        if isinstance(e, FormatError):
            raise
        return ""


def _checked(lines: list[str], name: str) -> str:
    k, note = _HEAD, ""
    if lines[k].split()[0].isdigit():
        note = "no line of elements, as VASP 4 has it: they are guessed from the first line, or taken from a POTCAR or OUTCAR beside it"
    else:
        k += 1
    n_atoms = sum(int(word) for word in lines[k].partition("!")[0].split())
    k += 1
    flags = lines[k].strip()[0].lower() == "s"
    k += 2 if flags else 1
    if flags:
        for number, line in enumerate(lines[k : k + n_atoms], k + 1):
            for flag in line.split()[3:6]:
                # Fortran reads any of F, f, .F., .FALSE., False.
                if re.match(r"\.?f", flag, re.IGNORECASE) and flag != "F":
                    raise FormatError(
                        f"flag {flag!r} of Selective dynamics, which ASE takes for T; expected T or F",
                        name,
                        number,
                    )
    k += n_atoms
    if k < len(lines) and lines[k].strip()[:1].lower() == "l":
        k += _LATTICE
    if k + 1 < len(lines) and lines[k].strip()[:1].lower() == "d" and lines[k + 1].split():
        raise FormatError(
            "velocities in units of the cell (Direct), which ASE takes for Angstrom/fs; expected Cartesian ones"
            " behind a blank line, or none",
            name,
            k + 1,
        )
    return note
