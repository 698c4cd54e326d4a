"""Lennard-Jones."""

from mdkern.registry import NUMBER, SWITCH, WORD, Entry, Form

ENTRY = Entry(
    name="lennard_jones",
    title="Lennard-Jones",
    calculator="LennardJones",
    potential="mdkern.potentials.lennard_jones:LennardJones",
    ase_name="mdkern-lj",
    papers={"Lennard-Jones": "J. E. Lennard-Jones, Proc. Phys. Soc. 43, 461 (1931)"},
    form=Form(
        name="lj",
        parameters={
            **dict.fromkeys(("sigma", "epsilon", "rc", "ro"), NUMBER),
            **dict.fromkeys(("shift", "force_shift", "smooth"), SWITCH),
            **dict.fromkeys(("mixing", "precision"), WORD),
        },
        example="lj:epsilon=0.0103,sigma=3.405,rc=8.5",
        help=(
            "Lennard-Jones (eV, Angstrom); also ro, shift, force_shift,",
            "smooth, mixing, precision; by element: sigma.Ar=3.4,...",
        ),
    ),
    benchmarks="mdkern.bench.cases.lennard_jones:KERNELS",
    reference=("mdkern.reference.lennard_jones:lennard_jones",),
    page="potentials/lennard_jones.md",
    order=10,
)
