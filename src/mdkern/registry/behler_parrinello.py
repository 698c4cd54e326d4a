"""Behler-Parrinello networks of n2p2 and RuNNer."""

from mdkern.registry import Entry, Files

ENTRY = Entry(
    name="behler_parrinello",
    title="Behler-Parrinello",
    calculator="BehlerParrinello",
    potential="mdkern.potentials.behler_parrinello:BehlerParrinello",
    ase_name="mdkern-behler-parrinello",
    papers={
        "Behler-Parrinello": "J. Behler and M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007)",
        "n2p2": "A. Singraber, J. Behler and C. Dellago, J. Chem. Theory Comput. 15, 1827 (2019)",
        "polynomial symmetry functions": "M. P. Bircher, A. Singraber and C. Dellago, "
        "Mach. Learn.: Sci. Technol. 2, 035026 (2021)",
        "weighted symmetry functions": "M. Gastegger et al., J. Chem. Phys. 148, 241709 (2018)",
    },
    files=Files(
        formats="n2p2 (input.nn)",
        recognise="mdkern.io.behler_parrinello:is_behler_parrinello",
        rank=24,
        folder=tuple(
            f"{where}{name}"
            for where in ("", "nnp-*/")
            for name in ("input.nn", "scaling.data", "weights.*.data")
        ),
        describe="mdkern.io.behler_parrinello_facts:describe_behler_parrinello",
    ),
    benchmarks="mdkern.bench.cases.behler_parrinello:KERNELS",
    reference=(
        "mdkern.reference.behler_parrinello:behler_parrinello",
        "mdkern.reference.behler_parrinello:symmetry_functions",
    ),
    page="potentials/behler-parrinello.md",
    order=62,
)
