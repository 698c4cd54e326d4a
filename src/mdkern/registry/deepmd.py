"""Deep Potential."""

from mdkern.registry import Entry, Files

ENTRY = Entry(
    name="deepmd",
    title="Deep Potential",
    calculator="DeepPotential",
    potential="mdkern.potentials.deepmd:DeepPotential",
    ase_name="mdkern-deepmd",
    papers={
        "Deep Potential": "L. Zhang et al., Phys. Rev. Lett. 120, 143001 (2018)",
        "Deep Potential, se_e2_a": "L. Zhang et al., Adv. Neural Inf. Process. Syst. 31 (2018)",
        "DeePMD-kit": "J. Zeng et al., J. Chem. Phys. 159, 054801 (2023)",
        "Deep Potential, tables": "D. Lu et al., J. Chem. Theory Comput. 18, 5559 (2022)",
        "Deep Potential, dpa1": "D. Zhang et al., npj Comput. Mater. 10, 94 (2024)",
        "Deep Potential, zbl": "H. Wang et al., Appl. Phys. Lett. 114, 244101 (2019)",
    },
    files=Files(
        formats="Deep Potential (.dp, .yaml, .json)",
        recognise="mdkern.io.deepmd:is_deepmd",
        rank=30,
        describe="mdkern.io.deepmd_facts:describe_deepmd",
    ),
    benchmarks="mdkern.bench.cases.deepmd:KERNELS",
    reference=("mdkern.reference.deepmd:deepmd", "mdkern.reference.deepmd:deepmd_descriptors"),
    page="potentials/deep-potential.md",
    order=60,
)
