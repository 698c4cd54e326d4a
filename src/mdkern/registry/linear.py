"""Models that are linear in a descriptor."""

from mdkern.registry import Entry, Files

ENTRY = Entry(
    name="linear",
    title="Linear models",
    calculator="LinearModel",
    potential="mdkern.potentials.linear:LinearModel",
    ase_name="mdkern-linear",
    base="mdkern.calculators.linear:LinearCalculator",
    citation="A. P. Bartok, R. Kondor and G. Csanyi, Phys. Rev. B 87, 184115 (2013)",
    files=Files(
        formats="linear models (.npz)",
        recognise="mdkern.potentials.linear:is_linear",
        rank=10,
    ),
    page="descriptors/linear_model.md",
    order=80,
)
