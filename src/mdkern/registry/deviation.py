"""How much several models disagree."""

from mdkern.registry import Entry

ENTRY = Entry(
    name="deviation",
    title="Model deviation",
    calculator="ModelDeviation",
    potential="mdkern.potentials.deviation:ModelDeviation",
    ase_name="mdkern-model-deviation",
    base="mdkern.calculators.deviation:DeviationCalculator",
    citation="Y. Zhang et al., Comput. Phys. Commun. 253, 107206 (2020)",
    page="potentials/deep-potential.md",
    order=70,
)
