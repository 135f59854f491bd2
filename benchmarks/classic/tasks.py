"""The tasks: sequences drawn without end, what is asked of them, and the score of knowing nothing.

Each has a lag: how many steps lie between what must be remembered and the answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss, one_hot

__all__ = ["Adding", "Asked", "Copy", "Echo", "GappySine", "RegimeChange", "Task"]


class Asked(NamedTuple):
    """A batch of a task.

    Parameters
    ----------
    x : Tensor of shape (batch, step, feature)
    answer : Tensor of shape (batch, answer), int64, or (batch, answer, 1), float32
        What is to be said at the last steps.
    """

    x: Tensor
    answer: Tensor


class Task(Protocol):
    """What a network is trained on."""

    @property
    def name(self) -> str:
        """Name of the task, the same for all lags."""

    @property
    def steps(self) -> int:
        """Length of a sequence."""

    @property
    def features(self) -> int:
        """Numbers read at each step."""

    @property
    def answers(self) -> int:
        """Last steps at which something is to be said."""

    @property
    def size(self) -> int:
        """Numbers said at each of them."""

    @property
    def baseline(self) -> float:
        """Score of the best answer that remembers nothing."""

    def draw(self, batch: int, generator: torch.Generator) -> Asked:
        """Return fresh sequences."""

    def loss(self, said: Tensor, answer: Tensor) -> Tensor:
        """Return what training minimises."""

    def score(self, said: Tensor, answer: Tensor) -> float:
        """Return what is reported."""

    def solved(self, score: float) -> bool:
        """Return whether the score is as good as done."""


class Squared:
    """What tasks of numbers share: they are trained on and scored by the mean squared error."""

    def loss(self, said: Tensor, answer: Tensor) -> Tensor:
        """Return the mean squared error."""
        return mse_loss(said, answer)

    def score(self, said: Tensor, answer: Tensor) -> float:
        """Return the mean squared error."""
        return mse_loss(said, answer).item()


class OneNumber(Squared):
    """What tasks share whose answer is one number that follows from the sequence."""

    def solved(self, score: float) -> bool:
        """Return whether the error is below 0.01."""
        return score < 0.01


@dataclass(frozen=True)
class Echo:
    """``n`` digits in, the ``k``-th out.

    Parameters
    ----------
    n, k : int
    digits : int
        How many different ones there are.
    """

    n: int
    k: int
    digits: int = 10
    name: str = "echo"
    answers: int = 1

    @property
    def steps(self) -> int:
        """Length of a sequence."""
        return self.n

    @property
    def features(self) -> int:
        """One-hot digits."""
        return self.digits

    @property
    def size(self) -> int:
        """One logit a digit."""
        return self.digits

    @property
    def baseline(self) -> float:
        """Share of right guesses."""
        return 1 / self.digits

    def draw(self, batch: int, generator: torch.Generator) -> Asked:
        """Return digits, and the k-th of each row."""
        drawn = torch.randint(self.digits, (batch, self.n), generator=generator)
        return Asked(one_hot(drawn, self.digits).float(), drawn[:, self.k - 1 : self.k])

    def loss(self, said: Tensor, answer: Tensor) -> Tensor:
        """Return the cross-entropy."""
        return cross_entropy(said.flatten(0, 1), answer.flatten())

    def score(self, said: Tensor, answer: Tensor) -> float:
        """Return the share of right digits."""
        return (said.argmax(-1) == answer).float().mean().item()

    def solved(self, score: float) -> bool:
        """Return whether every digit is right."""
        return score == 1.0


@dataclass(frozen=True)
class Adding(OneNumber):
    """The sum of the two marked numbers (Hochreiter and Schmidhuber 1997, section 5.4).

    One mark is in the first half, one in the second. Saying 1, the mean, has an error of 1/6.
    """

    steps: int
    name: str = "adding"
    features: int = 2
    answers: int = 1
    size: int = 1
    baseline: float = 1 / 6

    def draw(self, batch: int, generator: torch.Generator) -> Asked:
        """Return uniform numbers beside two marks, and the sum of the marked."""
        numbers = torch.rand(batch, self.steps, generator=generator)
        half, rows = self.steps // 2, torch.arange(batch)
        first = torch.randint(half, (batch,), generator=generator)
        second = torch.randint(half, self.steps, (batch,), generator=generator)
        marks = torch.zeros(batch, self.steps)
        marks[rows, first] = marks[rows, second] = 1.0
        total = numbers[rows, first] + numbers[rows, second]
        return Asked(torch.stack([numbers, marks], -1), total[:, None, None])


@dataclass(frozen=True)
class Copy:
    """Ten symbols, to be said again after ``lag`` blanks (Arjovsky, Shah and Bengio 2016, section 5.1).

    The score is the cross-entropy in nats, mean over all ``lag + 20`` steps.
    """

    lag: int
    symbols: int = 8
    length: int = 10
    name: str = "copy"

    @property
    def steps(self) -> int:
        """Length of a sequence."""
        return self.lag + 2 * self.length

    @property
    def features(self) -> int:
        """One-hot symbols, blank and go."""
        return self.symbols + 2

    @property
    def answers(self) -> int:
        """All of them: blanks first."""
        return self.steps

    @property
    def size(self) -> int:
        """One logit a symbol and one for the blank."""
        return self.symbols + 1

    @property
    def baseline(self) -> float:
        """Blanks where they belong, then guesses."""
        return self.length * math.log(self.symbols) / self.steps

    def draw(self, batch: int, generator: torch.Generator) -> Asked:
        """Return symbols, blanks and the sign to go."""
        blank, go = self.symbols, self.symbols + 1
        symbols = torch.randint(self.symbols, (batch, self.length), generator=generator)
        read = torch.full((batch, self.steps), blank)
        read[:, : self.length] = symbols
        read[:, -self.length - 1] = go
        answer = torch.full((batch, self.steps), blank)
        answer[:, -self.length :] = symbols
        return Asked(one_hot(read, self.features).float(), answer)

    def loss(self, said: Tensor, answer: Tensor) -> Tensor:
        """Return the cross-entropy."""
        return cross_entropy(said.flatten(0, 1), answer.flatten())

    def score(self, said: Tensor, answer: Tensor) -> float:
        """Return the cross-entropy."""
        return self.loss(said, answer).item()

    def solved(self, score: float) -> bool:
        """Return whether nine tenths of what guessing leaves are gone."""
        return score < self.baseline / 10


@dataclass(frozen=True)
class GappySine(OneNumber):
    """A sine whose last ``gap`` values are missing; what it is now is asked.

    Period (10 to 40 steps) and phase are drawn anew for each. Saying 0 has an error of 1/2.
    """

    gap: int
    seen: int = 60
    name: str = "sine with gaps"
    features: int = 2
    answers: int = 1
    size: int = 1
    baseline: float = 0.5

    @property
    def steps(self) -> int:
        """Length of a sequence."""
        return self.seen + self.gap

    def draw(self, batch: int, generator: torch.Generator) -> Asked:
        """Return values and which were observed, and the newest value."""
        period = 10 + 30 * torch.rand(batch, 1, generator=generator)
        phase = 2 * math.pi * torch.rand(batch, 1, generator=generator)
        values = torch.sin(2 * math.pi * torch.arange(self.steps) / period + phase)
        known = (torch.arange(self.steps) < self.seen).float().expand_as(values)
        return Asked(torch.stack([values * known, known], -1), values[:, -1:, None])


@dataclass(frozen=True)
class RegimeChange(Squared):
    """A series that follows itself or swings, and changes from one to the other without a word.

    y_t = s_t 0.9 y_(t-1) + e_t, s_t = 1 or -1, which flips with probability 1 / ``stay``. The best that
    can be done is Hamilton's (1989) filter; knowing the regime leaves an error of 1, never knowing it
    about 1 / (1 - 0.81) = 5.26.
    """

    stay: int
    steps: int = 200
    burn_in: int = 20
    name: str = "regime change"
    features: int = 1
    size: int = 1
    persistence: float = 0.9

    @property
    def answers(self) -> int:
        """The next value, at every step behind the first few."""
        return self.steps - self.burn_in

    @property
    def baseline(self) -> float:
        """Variance of the series."""
        return 1 / (1 - self.persistence**2)

    def draw(self, batch: int, generator: torch.Generator) -> Asked:
        """Return the series, and its next values."""
        count = self.steps + 1
        flips = torch.rand(batch, count, generator=generator) < 1 / self.stay
        first = torch.randint(2, (batch, 1), generator=generator)
        sign = 1.0 - 2.0 * ((first + flips.cumsum(1)) % 2)
        noise = torch.randn(batch, count, generator=generator)
        values = [noise[:, 0] * math.sqrt(self.baseline)]
        for step in range(1, count):
            values.append(sign[:, step] * self.persistence * values[-1] + noise[:, step])
        series = torch.stack(values, 1)
        return Asked(series[:, :-1, None], series[:, self.burn_in + 1 :, None])

    def solved(self, score: float) -> bool:
        """Never: the noise can't be known, so all train to the end."""
        del score
        return False

    @property
    def best(self) -> float:
        """Error of Hamilton's filter on a thousand sequences."""
        asked = self.draw(1000, torch.Generator().manual_seed(2000))
        return self.score(self.filtered(asked.x), asked.answer)

    def filtered(self, x: Tensor) -> Tensor:
        """Return what Hamilton's filter says at the last steps, shape (batch, answer, 1)."""
        series = x[..., 0]
        follows = torch.full((len(series),), 0.5)
        said = []
        for step in range(self.steps):
            if step:
                move = self.persistence * series[:, step - 1]
                odds = torch.exp(-0.5 * (series[:, step] - move) ** 2)
                against = torch.exp(-0.5 * (series[:, step] + move) ** 2)
                follows = follows * odds / (follows * odds + (1 - follows) * against)
            follows = follows * (1 - 1 / self.stay) + (1 - follows) / self.stay
            said.append(self.persistence * series[:, step] * (2 * follows - 1))
        return torch.stack(said, 1)[:, self.burn_in :, None]
