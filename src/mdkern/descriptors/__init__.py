"""Descriptors of atomic environments, with derivatives."""

from mdkern.descriptors.acsf import ACSF
from mdkern.descriptors.base import Descriptor
from mdkern.descriptors.jacobian import SparseJacobian
from mdkern.descriptors.soap import SOAP

__all__ = ["ACSF", "SOAP", "Descriptor", "SparseJacobian"]
