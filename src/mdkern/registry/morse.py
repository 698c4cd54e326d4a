"""Morse."""

from mdkern.registry import NUMBER, SWITCH, WORD, Entry, Form

ENTRY = Entry(
    name="morse",
    title="Morse",
    calculator="Morse",
    potential="mdkern.potentials.morse:Morse",
    ase_name="mdkern-morse",
    papers={"Morse": "P. M. Morse, Phys. Rev. 34, 57 (1929)"},
    form=Form(
        name="morse",
        parameters={
            **dict.fromkeys(("D", "alpha", "r0", "rc"), NUMBER),
            "shift": SWITCH,
            "precision": WORD,
        },
        example="morse:D=0.3429,alpha=1.3588,r0=2.866,rc=8",
        help=("Morse (eV, 1/Angstrom, Angstrom); also shift",),
    ),
    benchmarks="mdkern.bench.cases.morse:KERNELS",
    reference=("mdkern.reference.morse:morse", "mdkern.reference.morse:morse_ase"),
    page="potentials/morse.md",
    order=20,
)
