"""The embedded-atom method: files, and sixteen metals without one."""

from mdkern.registry import NUMBER, WORD, Entry, Files, Form

ENTRY = Entry(
    name="eam",
    title="EAM",
    calculator="EAM",
    potential="mdkern.potentials.eam:EAM",
    ase_name="mdkern-eam",
    base="mdkern.calculators.eam:EamCalculator",
    papers={
        "EAM": "M. S. Daw and M. I. Baskes, Phys. Rev. B 29, 6443 (1984)",
        "EAM, Finnis-Sinclair": "M. W. Finnis and J. E. Sinclair, Phil. Mag. A 50, 45 (1984)",
        "EAM, zhou2004": "X. W. Zhou, R. A. Johnson and H. N. G. Wadley, Phys. Rev. B 69, 144113 (2004)",
    },
    words=("zhou2004",),
    files=Files(
        formats="EAM (.eam, .eam.alloy, .eam.fs)",
        recognise="mdkern.io.eam:is_eam",
        rank=90,  # lines of numbers
        names=(".eam",),
        describe="mdkern.io.eam_facts:describe_eam",
    ),
    form=Form(
        name="zhou2004",
        parameters={"cutoff": NUMBER, "precision": WORD},
        example="zhou2004",
        help=("built-in EAM: Cu Ag Au Ni Pd Pt Al Pb Fe Mo Ta W Mg Co Ti Zr",),
        make="mdkern.calculators:EAM.zhou2004",
    ),
    benchmarks="mdkern.bench.cases.eam:KERNELS",
    reference=("mdkern.reference.eam:eam", "mdkern.reference.eam:eam_zhou2004"),
    page="potentials/eam.md",
    order=40,
)
