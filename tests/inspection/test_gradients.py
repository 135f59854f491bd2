import numpy as np
import pytest
import torch

from tests.inspection.encoders import drawn, inputs, weights, zeroed
from tsrnn.inspection import gradient_by_lag, gradients
from tsrnn.nn.cells import CELLS

LAGS = [1, 2, 5, 11]


@pytest.mark.parametrize("w", [0.5, 1.0, 1.3])
def test_diagonal_elman_network_at_zero_has_the_powers_of_its_weight(w):
    encoder = zeroed("rnn")
    weights(encoder)["weight_hh"].copy_(w * torch.eye(3, dtype=torch.float64))

    norms = gradient_by_lag(encoder, torch.zeros(1, 12, 2, dtype=torch.float64), LAGS)

    np.testing.assert_allclose(norms[0], [w**k for k in LAGS], rtol=1e-12)


def test_lstm_with_its_forget_gate_open_keeps_all_of_its_memory():
    encoder = zeroed("lstm")
    i, f, _, o = weights(encoder)["bias_ih"].split(3)
    i.fill_(-40.0)  # nothing is written
    f.fill_(40.0)  # nothing is forgotten
    o.fill_(40.0)  # all is said

    norms = gradient_by_lag(encoder, inputs(), LAGS)

    np.testing.assert_allclose(norms, 1.0, rtol=1e-12)


def test_lstm_with_its_forget_gate_half_open_halves_its_memory_at_each_step():
    encoder = zeroed("lstm")
    weights(encoder)["bias_ih"].split(3)[3].fill_(40.0)

    norms = gradient_by_lag(encoder, torch.zeros(1, 12, 2, dtype=torch.float64), LAGS)

    np.testing.assert_allclose(norms[0], [0.5**k for k in LAGS], rtol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_norm_is_that_of_the_jacobian_from_torch(cell, layers):
    encoder, x, lag = drawn(cell, layers=layers), inputs(), 5

    norms = gradient_by_lag(encoder, x, [lag])

    _, before = encoder(x[:1, :-lag])
    jacobian = torch.autograd.functional.jacobian(
        lambda *state: encoder(x[:1, -lag:], state)[1][0][-1, 0], before
    )
    whole = torch.cat([part.flatten(1) for part in jacobian], 1)
    np.testing.assert_allclose(norms[0, 0], torch.linalg.matrix_norm(whole, 2), rtol=1e-10)


@pytest.mark.parametrize(
    "how",
    [{"dilations": (1, 3)}, {"skip": "residual"}, {"skip": "highway"}, {"convolution": 3}],
    ids=str,
)
def test_state_that_is_carried_in_several_slots_is_counted_whole(how):
    encoder, x, lag = drawn("gru", layers=2, **how), inputs(), 5

    norms = gradient_by_lag(encoder, x, [lag])

    _, before = encoder(x[:1, :-lag])
    jacobian = torch.autograd.functional.jacobian(
        lambda *state: encoder(x[:1, -lag:], state)[1][0][-1, 0], before
    )
    whole = torch.cat([part.flatten(1) for part in jacobian], 1)
    np.testing.assert_allclose(norms[0, 0], torch.linalg.matrix_norm(whole, 2), rtol=1e-10)


def test_directions_in_parts_say_the_same_as_all_at_once(monkeypatch):
    encoder, x = drawn("gru"), inputs()
    whole = gradient_by_lag(encoder, x, LAGS)

    monkeypatch.setattr(gradients, "STEPS_AT_ONCE", 1)

    torch.testing.assert_close(gradient_by_lag(encoder, x, LAGS), whole)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_wide_encoders_are_followed_closely_from_below(cell, monkeypatch):
    encoder, x = drawn(cell, hidden_size=24), inputs(steps=20)
    lags = list(range(1, 20))
    exact = gradient_by_lag(encoder, x, lags)

    monkeypatch.setattr(gradients, "EXACT", 12)
    monkeypatch.setattr(gradients, "DIRECTIONS", 6)
    bound = gradient_by_lag(encoder, x, lags)

    assert (bound <= exact * (1 + 1e-9)).all()
    assert (bound > 0.8 * exact).all()


def test_lags_are_dense_at_first_and_reach_the_longest():
    lags = gradients.spread_lags(500)

    assert lags[:32] == list(range(1, 33))
    assert lags[-1] == 500
    assert len(lags) < 80
    assert gradients.spread_lags(0) == []
