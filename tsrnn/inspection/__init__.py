"""A look inside a fitted network: gradients by lag, spectra, gates, sizes, and a picture of it unrolled."""

from tsrnn.inspection.blocks import Block, blocks_of
from tsrnn.inspection.diagnosis import Diagnosis, diagnose
from tsrnn.inspection.findings import Finding
from tsrnn.inspection.gradients import gradient_by_lag
from tsrnn.inspection.unrolled import plot_network
from tsrnn.inspection.weights import Spectrum, spectra

__all__ = [
    "Block",
    "Diagnosis",
    "Finding",
    "Spectrum",
    "blocks_of",
    "diagnose",
    "gradient_by_lag",
    "plot_network",
    "spectra",
]
