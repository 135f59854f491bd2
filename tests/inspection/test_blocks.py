import pytest
from torch import nn

from tests.inspection.encoders import drawn
from tsrnn.inspection import blocks_of


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


@pytest.mark.parametrize("module", [nn.GRU(2, 3), nn.LSTM(2, 3), nn.RNN(2, 3), nn.Linear(2, 3), nn.Linear(2, 3, bias=False), nn.Embedding(2, 3)])  # fmt: skip
def test_the_formula_written_gives_the_count_written(module):
    (block,) = blocks_of(module)

    formula = block.formula.replace("²", "**2")
    for pair in ("nh", "nm"):
        formula = formula.replace(pair, "*".join(pair))
    formula = formula.replace("(", "*(").replace("2h", "2*h")
    assert eval(formula, {}, block.sizes) == block.parameters


def test_what_no_formula_covers_is_left_out():
    assert blocks_of(nn.Sequential(nn.GELU(), nn.Dropout())) == []
