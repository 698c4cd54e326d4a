"""Soft spheres."""

from mdkern.registry import NUMBER, Entry, Files, Form

ENTRY = Entry(
    name="soft_sphere",
    title="Soft spheres",
    calculator="SoftSphere",
    potential="mdkern.potentials.soft_sphere:SoftSphere",
    ase_name="mdkern-soft-sphere",
    papers={"Soft spheres": "C. S. O'Hern et al., Phys. Rev. Lett. 88, 075507 (2002)"},
    files=Files(
        formats="soft spheres (.soft)",
        recognise="mdkern.potentials.soft_sphere:is_soft_sphere",
    ),
    form=Form(
        name="soft_sphere",
        parameters={"k": NUMBER, "rc": NUMBER},
        example="soft_sphere:k=2,rc=3",
        help=("Soft spheres (eV/Angstrom^2, Angstrom)",),
    ),
    benchmarks="mdkern.bench.cases.soft_sphere:KERNELS",
    reference=("mdkern.reference.soft_sphere:soft_sphere",),
    page="potentials/soft_sphere.md",
)
