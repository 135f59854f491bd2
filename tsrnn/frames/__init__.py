"""Any frame -> Panel, forecast -> the caller's kind of frame; every check on user data lives here."""

from tsrnn.frames.covariates import CovariateColumns
from tsrnn.frames.following import NewRows, read_following
from tsrnn.frames.formats import FrameFormat
from tsrnn.frames.future import covariate_values, make_future, read_future
from tsrnn.frames.read import read_panel
from tsrnn.frames.regular import regularize

__all__ = [
    "CovariateColumns",
    "FrameFormat",
    "NewRows",
    "covariate_values",
    "make_future",
    "read_following",
    "read_future",
    "read_panel",
    "regularize",
]
