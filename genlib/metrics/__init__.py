"""How good is a generator? Judges of digits and of textures; distances; spectra; colours; diversity; modes found."""

from genlib.metrics.classifier import Judge, classify, judge, label_accuracy
from genlib.metrics.colour import colour_intersection, lab, saturation
from genlib.metrics.digits import DigitsReport, copying, digits_report, frechet_distance, held_out_report
from genlib.metrics.distances import (
    ModeCoverage,
    coverage,
    diversity,
    energy_distance,
    frechet_gaussian,
    mode_coverage,
    precision,
    recall,
)
from genlib.metrics.spectra import detail, spectrum, spectrum_error
from genlib.metrics.textures import texture_accuracy, texture_confusion

__all__ = ["DigitsReport", "Judge", "ModeCoverage", "classify", "colour_intersection", "copying", "coverage", "detail"]
__all__ += ["digits_report", "diversity", "energy_distance", "frechet_distance", "frechet_gaussian"]
__all__ += ["held_out_report", "judge", "lab", "label_accuracy", "saturation"]
__all__ += [
    "mode_coverage",
    "precision",
    "recall",
    "spectrum",
    "spectrum_error",
    "texture_accuracy",
    "texture_confusion",
]
