"""Sums of potentials."""

from mdkern.registry import Entry

ENTRY = Entry(
    name="sum",
    title="Sum",
    calculator="Sum",
    potential="mdkern.potentials.sum:Sum",
    ase_name="mdkern-sum",
    citation="the papers of the parts",
    page="potentials/sum.md",
    order=85,
)
