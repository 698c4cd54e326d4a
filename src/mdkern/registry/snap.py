"""Spectral neighbor analysis potentials."""

from mdkern.registry import Entry, Files

ENTRY = Entry(
    name="snap",
    title="SNAP",
    calculator="SNAP",
    potential="mdkern.potentials.snap:SNAP",
    ase_name="mdkern-snap",
    papers={
        "SNAP": "A. P. Thompson et al., J. Comput. Phys. 285, 316 (2015)",
        "SNAP, quadratic": "M. A. Wood and A. P. Thompson, J. Chem. Phys. 148, 241721 (2018)",
        "SNAP, explicit elements": "M. A. Cusentino, M. A. Wood and A. P. Thompson, J. Phys. Chem. A 124, 5456 (2020)",
    },
    files=Files(
        formats="SNAP (.snapcoeff)",
        recognise="mdkern.io.snap:is_snap",
        rank=60,
        names=(".snapcoeff", ".snapparam"),
        describe="mdkern.io.snap_facts:describe_snap",
    ),
    benchmarks="mdkern.bench.cases.snap:KERNELS",
    reference=("mdkern.reference.snap:snap", "mdkern.reference.snap:bispectrum"),
    page="potentials/snap.md",
    order=60,
)
