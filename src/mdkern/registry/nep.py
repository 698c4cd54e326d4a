"""Neuroevolution potentials. Their models of dipoles and polarizabilities are an entry of their own."""

from mdkern.registry import Entry, Files

ENTRY = Entry(
    name="nep",
    title="NEP",
    calculator="NEP",
    potential="mdkern.potentials.nep:NEP",
    ase_name="mdkern-nep",
    base="mdkern.calculators.nep:NepCalculator",
    papers={
        "NEP3, the descriptor": "Z. Fan et al., J. Chem. Phys. 157, 114801 (2022)",
        "NEP4": "K. Song et al., Nat. Commun. 15, 10208 (2024)",
        "NEP, GPUMD 4": "K. Xu et al., MGE Advances 3, e70028 (2025)",
        "NEP, tensors": "N. Xu et al., J. Chem. Theory Comput. 20, 3273 (2024)",
        "Ewald sum": "P. P. Ewald, Ann. Phys. 369, 253 (1921)",
        "ZBL": "J. F. Ziegler, J. P. Biersack and U. Littmark, The Stopping and Range of Ions in "
        "Solids, Pergamon (1985)",
    },
    files=Files(
        formats="NEP (nep.txt)",
        recognise="mdkern.io.nep:is_nep",
        rank=21,
        describe="mdkern.io.nep_facts:describe_nep",
    ),
    benchmarks="mdkern.bench.cases.nep:KERNELS",
    reference=(
        "mdkern.reference.nep:nep",
        "mdkern.reference.nep:nep_born_charges",
        "mdkern.reference.nep:nep_charges",
        "mdkern.reference.nep:nep_descriptors",
    ),
    page="potentials/nep.md",
    order=50,
)
