"""Dipoles and polarizabilities by neuroevolution models."""

from mdkern.registry import Entry, Files

ENTRY = Entry(
    name="nep_tensor",
    title="NEP of dipoles and polarizabilities",
    calculator="NEPTensor",
    potential="mdkern.potentials.nep:NEPTensor",
    ase_name="mdkern-nep-tensor",
    base="mdkern.calculators.nep:NepTensorCalculator",
    citation="N. Xu et al., J. Chem. Theory Comput. 20, 3273 (2024)",
    files=Files(
        formats="NEP (nep.txt)",
        recognise="mdkern.io.nep:is_nep_tensor",
        rank=20,  # before NEP, which knows these files too
        describe="mdkern.io.nep_facts:describe_nep",
    ),
    reference=("mdkern.reference.nep:nep_dipole", "mdkern.reference.nep:nep_polarizability"),
    page="potentials/nep.md",
    order=51,
)
