"""Simple methods that every model has to beat, by name: for arrays of series, and for panels."""

from tsrnn.references.outlooks import METHODS, ROWS_READ, baseline, panel_outlook, panel_scale
from tsrnn.references.simple import Outlook

__all__ = ["METHODS", "ROWS_READ", "Outlook", "baseline", "panel_outlook", "panel_scale"]
