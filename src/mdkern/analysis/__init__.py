"""What simulations are judged by: structure, diffusion, transport coefficients and drift, each with its error."""

from __future__ import annotations

from mdkern.analysis.correlation import autocorrelation, correlation_time
from mdkern.analysis.displacement import mean_square_displacement, msd, without_drift
from mdkern.analysis.einstein import FEWEST_TIMES, Diffusion, diffusion
from mdkern.analysis.energies import Drift, energy_drift
from mdkern.analysis.kubo import GreenKubo, green_kubo
from mdkern.analysis.spectrum import vibrational_density
from mdkern.analysis.structure import distance_shells, radial_distribution, rdf
from mdkern.analysis.transport import (
    green_kubo_diffusion,
    thermal_conductivity,
    viscosity,
)
from mdkern.fluxes import Fluxes, heat_flux

__all__ = [
    "FEWEST_TIMES",
    "Diffusion",
    "Drift",
    "Fluxes",
    "GreenKubo",
    "autocorrelation",
    "correlation_time",
    "diffusion",
    "distance_shells",
    "energy_drift",
    "green_kubo",
    "green_kubo_diffusion",
    "heat_flux",
    "mean_square_displacement",
    "msd",
    "radial_distribution",
    "rdf",
    "thermal_conductivity",
    "vibrational_density",
    "viscosity",
    "without_drift",
]
