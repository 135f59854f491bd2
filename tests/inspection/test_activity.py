import numpy as np
import pytest
import torch

from tests import reference
from tests.inspection.encoders import drawn, inputs, weights, zeroed
from tsrnn.inspection.activity import dead_units, observe, saturated_gates, saturated_units


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_gates_and_states_are_those_of_the_equations(cell):
    encoder, x = drawn(cell), inputs(series=1, steps=3)

    (seen,) = observe(encoder, x)

    hidden, _ = encoder(x)
    torch.testing.assert_close(seen.hidden, hidden)
    w = {name: weight.numpy() for name, weight in weights(encoder).items()}
    names = {"gru": "rz", "lstm": "ifgo"}[cell]
    h = hidden[0, 1].numpy()  # before the third step
    sums = w["weight_ih"] @ x[0, 2].numpy() + w["bias_ih"] + w["weight_hh"] @ h + w["bias_hh"]
    for name, part in zip(names, np.split(sums, {"gru": 3, "lstm": 4}[cell]), strict=False):
        if name != "g":
            np.testing.assert_allclose(seen.gates[name][0, 2], reference.sigmoid(part), rtol=1e-10)


def test_every_layer_is_seen_and_elman_layers_have_no_gates():
    seen = observe(drawn("rnn", layers=2), inputs())

    assert len(seen) == 2
    assert all(activity.gates == {} for activity in seen)


def test_a_relu_that_is_always_off_is_dead_and_no_other():
    encoder = zeroed("rnn_relu")
    weights(encoder)["weight_ih"].fill_(1.0)
    weights(encoder)["bias_ih"].copy_(torch.tensor([5.0, -100.0, 5.0]))

    (seen,) = observe(encoder, inputs())

    assert dead_units(seen).tolist() == [False, True, False]


def test_a_unit_at_the_end_of_the_tanh_is_saturated():
    encoder = zeroed("rnn")
    weights(encoder)["weight_ih"].fill_(0.3)
    weights(encoder)["bias_ih"].copy_(torch.tensor([0.0, 9.0, -9.0]))

    (seen,) = observe(encoder, inputs())

    assert saturated_units(seen).tolist() == [False, True, True]


def test_a_relu_has_no_end_to_be_saturated_at():
    encoder = zeroed("rnn_relu")
    weights(encoder)["bias_ih"].copy_(torch.tensor([0.5, 1.0, 9.0]))

    (seen,) = observe(encoder, inputs())

    assert not saturated_units(seen).any()


def test_a_gate_is_closed_or_open_where_it_is_so_nearly_always():
    encoder = zeroed("lstm", hidden_size=4)
    i, f, _, _ = weights(encoder)["bias_ih"].split(4)
    i.copy_(torch.tensor([-9.0, -9.0, 0.0, 0.0]))
    f.copy_(torch.tensor([9.0, 9.0, 9.0, 0.0]))

    (seen,) = observe(encoder, inputs())

    assert saturated_gates(seen.gates["i"]) == (0.5, 0.0)
    assert saturated_gates(seen.gates["f"]) == (0.0, 0.75)
    assert saturated_gates(seen.gates["o"]) == (0.0, 0.0)
