"""What a step in time is: frequency and session inference, and the stamps that follow."""

from tsrnn.calendars.axis import TimeAxis

__all__ = ["TimeAxis"]
