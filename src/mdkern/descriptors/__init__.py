"""Descriptors of atomic environments, with derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mdkern.descriptors.ace import ACEDescriptor
from mdkern.descriptors.acsf import ACSF
from mdkern.descriptors.base import Descriptor
from mdkern.descriptors.behler_parrinello import BehlerParrinelloDescriptor
from mdkern.descriptors.bispectrum import Bispectrum
from mdkern.descriptors.deepmd import DeepPotSE
from mdkern.descriptors.jacobian import SparseJacobian
from mdkern.descriptors.mace import MACEDescriptor
from mdkern.descriptors.nep import NEPDescriptor
from mdkern.descriptors.soap import SOAP

__all__ = [
    "ACSF",
    "SOAP",
    "ACEDescriptor",
    "BehlerParrinelloDescriptor",
    "Bispectrum",
    "DeepPotSE",
    "Descriptor",
    "MACEDescriptor",
    "NEPDescriptor",
    "SparseJacobian",
    "from_dict",
]

_BY_NAME: dict[str, type[Descriptor]] = {c.__name__: c for c in (ACSF, SOAP, Bispectrum)}


def from_dict(description: Mapping[str, Any]) -> Descriptor:
    """The descriptor that :meth:`Descriptor.to_dict` describes.

    Parameters
    ----------
    description : dict
        The name of the class and its arguments, of JSON types.

    Raises
    ------
    ValueError
        An unknown name, or arguments that the descriptor does not take.
    """
    arguments = dict(description)
    name = arguments.pop("descriptor", None)
    if name not in _BY_NAME:
        raise ValueError(f"descriptor: {name!r}; expected one of {', '.join(sorted(_BY_NAME))}")
    try:
        return _BY_NAME[name](**arguments)
    except TypeError as e:
        raise ValueError(f"descriptor {name}: {e}") from None
