"""Atomic cluster expansion, and GRACE/FS."""

from mdkern.registry import Entry, Files

ENTRY = Entry(
    name="ace",
    title="ACE, GRACE/FS",
    calculator="ACE",
    potential="mdkern.potentials.ace:ACE",
    ase_name="mdkern-ace",
    papers={
        "ACE": "R. Drautz, Phys. Rev. B 99, 014104 (2019)",
        "ACE, pacemaker": "Y. Lysogorskiy et al., npj Comput. Mater. 7, 97 (2021)",
        "GRACE/FS": "A. Bochkarev, Y. Lysogorskiy and R. Drautz, Phys. Rev. X 14, 021036 (2024)",
    },
    files=Files(
        formats="ACE (.yace, .ace), GRACE/FS (.yaml)",
        recognise="mdkern.io.ace:is_ace",
        rank=16,
        describe="mdkern.io.ace_facts:describe_ace",
    ),
    benchmarks="mdkern.bench.cases.ace:KERNELS",
    reference=("mdkern.reference.ace:ace", "mdkern.reference.ace:ace_functions"),
    page="potentials/ace.md",
    order=75,
)
