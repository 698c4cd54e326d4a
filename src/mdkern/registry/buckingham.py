"""Buckingham."""

from mdkern.registry import NUMBER, SWITCH, WORD, Entry, Form

ENTRY = Entry(
    name="buckingham",
    title="Buckingham",
    calculator="Buckingham",
    potential="mdkern.potentials.buckingham:Buckingham",
    ase_name="mdkern-buckingham",
    papers={"Buckingham": "R. A. Buckingham, Proc. R. Soc. London A 168, 264 (1938)"},
    form=Form(
        name="buckingham",
        parameters={
            **dict.fromkeys(("A", "rho", "C", "rc"), NUMBER),
            "shift": SWITCH,
            "precision": WORD,
        },
        example="buckingham:A=1388.8,rho=0.3623,C=175,rc=5.5",
        help=("Buckingham (eV, Angstrom); also shift",),
    ),
    benchmarks="mdkern.bench.cases.buckingham:KERNELS",
    reference=("mdkern.reference.buckingham:buckingham",),
    page="potentials/buckingham.md",
    order=30,
)
