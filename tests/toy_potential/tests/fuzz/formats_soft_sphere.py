"""Files of soft spheres."""

from formats import model_format, reader
from mutants import damage_text

from mdkern.calculators import SoftSphere

FORMAT = model_format(
    "soft_sphere",
    ".soft",
    lambda rng: damage_text(rng, "soft-sphere\nk 2.0\nrc 3.5\n"),
    reader(SoftSphere),
)
