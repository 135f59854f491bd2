"""Matrix products of the kernels, whose operands may be rounded to bfloat16."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["PRECISIONS", "add_product_", "cpu_has_bfloat16", "product", "product_"]

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}  # dtype of operands; None: as they come
INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "bf16")  # of Intel, of Intel and AMD, of ARM


def cpu_has_bfloat16() -> bool:
    """Return whether this CPU multiplies bfloat16 itself, so that it is not imitated in float32."""
    can = torch.cpu.get_capabilities()
    return any(can.get(name, False) for name in INSTRUCTIONS)


def product(left: Tensor, right: Tensor) -> Tensor:
    """Return ``left right`` in the dtype of ``right``, whose values are rounded to the dtype of ``left``."""
    return torch.matmul(left, right.to(left.dtype)).to(right.dtype)


def product_(out: Tensor, left: Tensor, right: Tensor) -> None:
    """Write ``left right`` into ``out``; in the dtype of ``left``, summed in float32 at least."""
    if left.dtype == out.dtype:
        torch.mm(left, right, out=out)
    else:
        out.copy_(torch.mm(left, right.to(left.dtype)))


def add_product_(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add ``left right`` to ``total``, likewise."""
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total.add_(torch.mm(left, right.to(left.dtype)))
