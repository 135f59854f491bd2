import re

import pytest
import torch
from torch import nn

from tests.inspection.encoders import drawn
from tsrnn.inspection import blocks_of
from tsrnn.nn.cells import CELLS, Cell, make_layer


@pytest.mark.parametrize(("n", "h"), [(3, 4), (9, 64)])
@pytest.mark.parametrize(
    ("cell", "count"),
    [
        ("rnn", lambda n, h: n * h + h * h + 2 * h),
        ("gru", lambda n, h: 3 * (n * h + h * h + 2 * h)),
        ("lstm", lambda n, h: 4 * (n * h + h * h + 2 * h)),
    ],
)
def test_recurrent_layers_have_as_many_parameters_as_the_textbook_says(cell, count, n, h):
    first, second = blocks_of(drawn(cell, hidden_size=h, layers=2, features=n))

    assert first.parameters == count(n, h)
    assert second.parameters == count(h, h)
    assert first.sizes == {"n": n, "h": h}


MODULES = [
    nn.GRU(2, 3), nn.LSTM(2, 3), nn.RNN(2, 3), nn.Linear(2, 3), nn.Linear(2, 3, bias=False), nn.Embedding(2, 3),
    *(make_layer(cell, 2, 3) for cell in CELLS),
]  # fmt: skip


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_the_formula_written_gives_the_count_written(module):
    (block,) = blocks_of(module)

    products = re.sub(r"([\dnhmK)])(?=[nhmK(])", r"\1*", block.formula)
    assert eval(products.replace("²", "**2"), {}, block.sizes) == block.parameters
    assert block.parameters == sum(weight.numel() for weight in module.parameters())


def test_a_cell_of_ones_own_has_its_sizes_and_count():
    class Own(Cell):
        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.weight_ih = nn.Parameter(torch.zeros(hidden_size, input_size))

        def step(self, projected, state):
            return (projected @ self.weight_ih.T + state[0],)

    (block,) = blocks_of(Own(2, 3))

    assert str(block) == "Own, n = 2, h = 3: 6"


def test_what_no_formula_covers_is_left_out():
    assert blocks_of(nn.Sequential(nn.GELU(), nn.Dropout())) == []
