"""Ziegler-Biersack-Littmark repulsion."""

from mdkern.registry import NUMBER, WORD, Entry, Form

ENTRY = Entry(
    name="zbl",
    title="ZBL",
    calculator="ZBL",
    potential="mdkern.potentials.zbl:ZBL",
    ase_name="mdkern-zbl",
    papers={
        "ZBL": "J. F. Ziegler, J. P. Biersack, U. Littmark, The Stopping and Range of Ions in Solids, Pergamon (1985)"
    },
    form=Form(
        name="zbl",
        parameters={"inner": NUMBER, "outer": NUMBER, "z": NUMBER, "precision": WORD},
        example="zbl:inner=4.0,outer=4.8",
        help=("screened nuclear repulsion (Angstrom); charges as z.W=74",),
    ),
    benchmarks="mdkern.bench.cases.zbl:KERNELS",
    reference=("mdkern.reference.zbl:zbl",),
    page="potentials/zbl.md",
    order=35,
)
