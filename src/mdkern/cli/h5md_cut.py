"""Cut an H5MD file that a run goes on with: ``python -m mdkern.cli.h5md_cut FILE FRAMES SERIES...``.

A process of its own, because h5py's library crashes on damaged files. It also rehearses what comes next, a frame more, so that where that
crashes, it is here and not in the run.
"""

from __future__ import annotations

import sys

__all__ = ["cut"]


def cut(path: str, n: int, series: list[str]) -> None:
    """Leave the first n frames."""
    import h5py
    import numpy as np

    with h5py.File(path, "r+") as file:
        datasets = [file[name] for name in series]
        for rows in (n, n + 1, n):
            for data in datasets:
                data.resize(rows, axis=0)
                if rows > n:
                    data[n] = np.zeros(data.shape[1:], data.dtype)
            file.flush()


if __name__ == "__main__":
    cut(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
