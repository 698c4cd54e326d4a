"""Stillinger-Weber."""

from mdkern.registry import Entry, Files

ENTRY = Entry(
    name="stillinger_weber",
    title="Stillinger-Weber",
    calculator="StillingerWeber",
    potential="mdkern.potentials.stillinger_weber:StillingerWeber",
    ase_name="mdkern-stillinger-weber",
    papers={
        "Stillinger-Weber": "F. H. Stillinger and T. A. Weber, Phys. Rev. B 31, 5262 (1985)",
    },
    files=Files(
        formats="Stillinger-Weber (.sw)",
        recognise="mdkern.io.three_body:is_stillinger_weber",
        rank=60,  # names and numbers
        names=(".sw",),
        describe="mdkern.io.three_body_facts:describe_stillinger_weber",
    ),
    benchmarks="mdkern.bench.cases.three_body:KERNELS_STILLINGER_WEBER",
    reference=("mdkern.reference.stillinger_weber:stillinger_weber",),
    page="potentials/stillinger_weber.md",
    order=42,
)
