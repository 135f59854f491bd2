"""The median of few values, sorted by numpy's vector instructions: several times faster than by torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["median"]


def median(values: Tensor) -> Tensor:
    """Return the median along the last dimension, without a gradient: NaN skipped, and of nothing else NaN."""
    values = values.detach()
    if values.device.type == "cpu":
        ordered = torch.from_numpy(np.sort(values.numpy(), -1))
    else:
        ordered = values.sort(-1).values
    count = (~ordered.isnan()).sum(-1, keepdim=True)  # NaN are last
    low, high = (ordered.gather(-1, at) for at in ((count - 1).clamp_min(0) // 2, count // 2))
    return ((low + high) / 2).squeeze(-1)
