"""MACE models of mace-torch."""

from mdkern.registry import Entry, Files

ENTRY = Entry(
    name="mace",
    title="MACE",
    calculator="MACE",
    potential="mdkern.potentials.mace:MACE",
    ase_name="mdkern-mace",
    papers={
        "MACE": "I. Batatia et al., NeurIPS 35 (2022), arXiv:2206.07697",
        "e3nn, conventions of irreps": "M. Geiger and T. Smidt, arXiv:2207.09453 (2022)",
    },
    files=Files(
        formats="MACE (.model, .npz)",
        recognise="mdkern.io.mace:is_mace",
        rank=14,
        describe="mdkern.io.mace_facts:describe_mace",
    ),
    benchmarks="mdkern.bench.cases.mace:KERNELS",
    reference=("mdkern.reference.mace:mace", "mdkern.reference.mace:mace_descriptors"),
    page="potentials/mace.md",
    order=70,
)
