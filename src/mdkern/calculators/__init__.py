"""Potentials as ASE calculators. One adapter serves all of them; :mod:`mdkern.registry` says which there are."""

from __future__ import annotations

import os
import types
from typing import TYPE_CHECKING, Any

from mdkern.calculators.base import AtomsError as AtomsError
from mdkern.calculators.base import Calculator
from mdkern.calculators.base import NonFiniteError as NonFiniteError
from mdkern.calculators.base import is_native as is_native
from mdkern.checks import shown
from mdkern.loading import entry_of
from mdkern.registry import entries, resolve

if TYPE_CHECKING:  # the classes that __getattr__ makes, for who reads and for type checkers
    from mdkern.calculators.deviation import DeviationCalculator
    from mdkern.calculators.eam import EamCalculator
    from mdkern.calculators.linear import LinearCalculator
    from mdkern.calculators.nep import NepCalculator, NepTensorCalculator

    class LennardJones(Calculator): ...

    class Morse(Calculator): ...

    class Buckingham(Calculator): ...

    class EAM(EamCalculator): ...

    class NEP(NepCalculator): ...

    class NEPTensor(NepTensorCalculator): ...

    class DeepPotential(Calculator): ...

    class ModelDeviation(DeviationCalculator): ...

    class LinearModel(LinearCalculator): ...

    class StoredModel(Calculator): ...


__all__ = ["Calculator", "load"]
__all__.extend(sorted(entry.calculator for entry in entries()))


def load(path: str | os.PathLike[str], **kwargs: Any) -> Calculator:
    """The calculator for a potential file, chosen by the file's content.

    Parameters
    ----------
    path : str
        An EAM file (.eam, .eam.alloy, .eam.fs), a ``nep.txt``, a DeePMD-kit model (.dp, .yaml, .json), a MACE model (.model, .npz), SNAP
        (.snapcoeff), ACE (.yace, .ace, GRACE/FS .yaml), Stillinger-Weber (.sw), Tersoff, a folder of n2p2, a linear model (.npz), a file of another potential that :mod:`mdkern.registry` has, or the word "zhou2004" for the built-in EAM (with ``elements=[...]``).
    **kwargs
        Passed to the calculator.

    Raises
    ------
    UnsupportedError
        The file is of another kind, such as a frozen graph (.pb), MEAM, atoms: the message says what it looks like, the way out, and
        what is read.
    FormatError
        No reader recognises the content, or the file is damaged.
    OSError
        The file cannot be read.
    TypeError
        `path` is no path.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"path: {shown(path)}; expected a path, or the name of a built-in potential"
        )
    made: Calculator = __getattr__(entry_of(path).calculator)(path, **kwargs)
    return made


def __getattr__(name: str) -> Any:
    """The calculator of a potential, made at its first use: importing one potential imports no other."""
    for entry in entries():
        if entry.calculator == name:
            keywords = {"potential": resolve(entry.potential), "ase_name": entry.ase_name}
            # Its module is where users, and pickles, find it.
            made = types.new_class(
                name,
                (resolve(entry.base),),
                keywords,
                lambda body: body.update(__module__=__name__),
            )
            # Threads that come here at once get one and the same class.
            return globals().setdefault(name, made)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
