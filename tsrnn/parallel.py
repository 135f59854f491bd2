"""One fit shared by several processes: each takes its part of every batch, all keep the same weights."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tsrnn.exceptions import DataError, ParameterError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Crew", "crew", "shared_fit"]


@dataclass(frozen=True)
class Crew:
    """The processes that share a fit, as one of them sees it; alone, every method changes nothing.

    Each method is called by all of them in the same order.

    Parameters
    ----------
    rank, size : int
        Which one this is, of how many.
    group : ProcessGroup, optional
        Of torch.distributed, with a backend for the CPU.
    """

    rank: int = 0
    size: int = 1
    group: Any = None

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes, logs and saves."""
        return self.rank == 0

    def part(self, count: int, *, channels: int = 1) -> slice:
        """Return which of ``count`` neighbours are this process's; channels of one thing stay together."""
        things = count // channels
        first, last = (things * rank // self.size for rank in (self.rank, self.rank + 1))
        return slice(first * channels, last * channels)

    def total(self, value: Tensor) -> Tensor:
        """Return the sum of the values of all processes."""
        if self.size == 1:
            return value
        from torch.distributed import all_reduce

        summed = value.detach().cpu().clone()
        all_reduce(summed, group=self.group)
        return summed.to(value.device)

    def add_up(self, loss: Tensor, parameters: Iterable[Tensor]) -> Tensor:
        """Give the parameters the sum of all processes' gradients, and return the sum of their losses."""
        if self.size == 1:
            return loss
        import torch

        gradients = [each.grad for each in parameters if each.grad is not None]
        flat = torch.cat([*(each.flatten() for each in gradients), loss.detach().reshape(1)])
        summed = self.total(flat)
        parts = summed[:-1].split([each.numel() for each in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
        return summed[-1]

    def joined(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of all processes, in order."""
        if self.size == 1:
            return rows
        from torch.distributed import all_gather_object

        parts: list[Any] = [None] * self.size
        all_gather_object(parts, rows, group=self.group)
        return np.concatenate(parts)

    def any(self, flag: bool) -> bool:  # noqa: FBT001 (a predicate, as the built-in takes)
        """Return whether it is true for any process."""
        return bool(self.joined(np.array([flag])).any())

    def first_says(self, value: Any) -> Any:
        """Return the first process's value."""
        if self.size == 1:
            return value
        from torch.distributed import broadcast_object_list

        said = [value]
        broadcast_object_list(said, group=self.group, group_src=0)
        return said[0]

    def follow(self, weights: Mapping[str, Tensor]) -> None:
        """Overwrite the weights with the first process's."""
        if self.size == 1:
            return
        for name, said in self.first_says(
            {name: each.detach().cpu() for name, each in weights.items()}
        ).items():
            weights[name].copy_(said)

    def check_same(self, what: str, *contents: np.ndarray | str) -> None:
        """Raise DataError, in all processes, where they were not given the same."""
        if self.size == 1:
            return
        digest = hashlib.blake2b(digest_size=8)
        for each in contents:
            digest.update(each.encode() if isinstance(each, str) else each.tobytes())
        digests = self.joined(np.array([digest.hexdigest()]))
        others = np.flatnonzero(digests != digests[0])
        if len(others):
            raise DataError(
                f"Processes that share a fit must be given the same {what}. Got others in process "
                f"{others[0]} than in process 0. Read the same rows in each, in the same order, and leave "
                "the parts to the fit."
            )

    def check_batch(self, batch_size: int) -> None:
        """Raise ParameterError where there are fewer windows in a batch than processes."""
        if batch_size < self.size:
            raise ParameterError(
                f"The 'batch_size' parameter must be at least the number of processes that share a fit, "
                f"{self.size}. Got {batch_size}."
            )


_crew: ContextVar[Crew] = ContextVar("tsrnn_crew", default=Crew())  # noqa: B039 (it is frozen)


def crew() -> Crew:
    """Return the processes that share the fits of this block; a crew of one outside of any."""
    return _crew.get()


@contextmanager
def shared_fit() -> Iterator[Crew]:
    """Let the processes that ``torchrun`` started share every fit of a ``with`` block.

    Each is given the same frame and parameters, reads its part of every batch of windows and of every
    validation, and takes the steps that one process would take: losses and gradients are added up, by
    the weights of what they are made of, so that the loss is that of one process to rounding. With
    dropout or teacher forcing by chance, each process draws its own. All processes end with the same
    weights and can forecast; listeners (MLflow) hear of the fit in the first alone.

    In a process that torchrun did not start, it changes nothing.

    Yields
    ------
    Crew
        ``is_first`` says which process is to save and to print.

    Raises
    ------
    DataError
        By ``fit``, where the processes were given different frames or parameters.

    Examples
    --------
    >>> from tsrnn.parallel import shared_fit
    >>> with shared_fit() as processes:
    ...     print(processes.size, processes.is_first)
    1 True
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield Crew()
        return
    import torch.distributed as dist

    began = not dist.is_initialized()
    if began:
        dist.init_process_group("gloo")
    group = cast(Any, dist.new_group(backend="gloo"))
    token = _crew.set(Crew(dist.get_rank(), dist.get_world_size(), group))
    try:
        yield crew()
    finally:
        _crew.reset(token)
        if began:
            dist.destroy_process_group()
