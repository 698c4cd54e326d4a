"""Descriptors of atomic environments."""

from mdkern.descriptors.nep import NEPDescriptor

__all__ = ["NEPDescriptor"]
