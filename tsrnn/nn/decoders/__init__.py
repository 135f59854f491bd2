"""Decoders: heads that say the horizon from what the encoder knows at each step."""

from tsrnn.nn.decoders.attention import AttentionHead, newest_steps, recall, remember
from tsrnn.nn.decoders.direct import DirectHead
from tsrnn.nn.decoders.kinds import DECODERS, make_head
from tsrnn.nn.decoders.mixture import HeadInputs, HeadSizes, MixtureHead
from tsrnn.nn.decoders.recurrent import RecurrentHead
from tsrnn.nn.decoders.stepwise import StepwiseHead
from tsrnn.nn.decoders.teaching import TEACHER_FORCING, Teacher

__all__ = [
    "DECODERS",
    "TEACHER_FORCING",
    "AttentionHead",
    "DirectHead",
    "HeadInputs",
    "HeadSizes",
    "MixtureHead",
    "RecurrentHead",
    "StepwiseHead",
    "Teacher",
    "make_head",
    "newest_steps",
    "recall",
    "remember",
]
