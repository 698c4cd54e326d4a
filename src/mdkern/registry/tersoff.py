"""Tersoff and its variants."""

from mdkern.registry import Entry, Files

ENTRY = Entry(
    name="tersoff",
    title="Tersoff",
    calculator="Tersoff",
    potential="mdkern.potentials.tersoff:Tersoff",
    ase_name="mdkern-tersoff",
    papers={
        "Tersoff": "J. Tersoff, Phys. Rev. B 37, 6991 (1988)",
        "Tersoff, several elements": "J. Tersoff, Phys. Rev. B 39, 5566 (1989)",
        "Tersoff, modified": "T. Kumagai, S. Izumi, S. Hara and S. Sakai, Comput. Mater. Sci. 39, 457 (2007)",
        "Tersoff with ZBL": "R. Devanathan, T. Diaz de la Rubia and W. J. Weber, J. Nucl. Mater. 253, 47 (1998)",
    },
    files=Files(
        formats="Tersoff (.tersoff)",
        recognise="mdkern.io.three_body:is_tersoff",
        rank=61,  # names and numbers
        names=(".tersoff",),
        describe="mdkern.io.three_body_facts:describe_tersoff",
    ),
    benchmarks="mdkern.bench.cases.three_body:KERNELS_TERSOFF",
    reference=("mdkern.reference.tersoff:tersoff",),
    page="potentials/tersoff.md",
    order=44,
)
