"""Save an HDF5 file anew with h5py, so that mdkern reads it: ``python -m mdkern.io.by_h5py FILE NEW``.

For valid files with features that :mod:`mdkern.io.hdf5` does not read. h5py's library can crash on damaged files, and worse on malicious ones:
only for files that you trust.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Copy attributes and datasets of the root group. Returns the exit status."""
    if len(arguments) != 2:
        print("usage: python -m mdkern.io.by_h5py FILE NEW", file=sys.stderr)
        return 2
    try:
        import h5py
    except ImportError:
        print("needs h5py: pip install 'mdkern[deepmd]'", file=sys.stderr)
        return 1
    try:
        with h5py.File(arguments[0], "r") as old, h5py.File(arguments[1], "x") as new:
            for name, value in old.attrs.items():
                new.attrs[name] = value
            for name in old:
                value = old[name][()]  # of a group a TypeError
                new[name] = value.astype(value.dtype.newbyteorder("<"))
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as e:
        print(f"{arguments[0]}: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
