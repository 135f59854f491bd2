"""Any frame -> Panel, forecast -> the caller's kind of frame; every check on user data lives here."""

from tsrnn.frames.formats import FrameFormat
from tsrnn.frames.read import read_panel
from tsrnn.frames.regular import regularize

__all__ = ["FrameFormat", "read_panel", "regularize"]
