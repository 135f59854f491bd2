import numpy as np
import pytest
import torch

from tests.inspection.encoders import drawn, weights, zeroed
from tsrnn.inspection import spectra


@pytest.mark.parametrize(
    ("cell", "gates"),
    [
        ("gru", "r z n"),
        ("lstm", "i f g o"),
        ("rnn", "h"),
        ("mut1", "r h~"),
        ("mut3", "z r h~"),
        ("slstm", "z i f o"),
        ("mingru", ""),
    ],
)
def test_fresh_recurrent_weights_turn_and_do_not_stretch(cell, gates):
    found = spectra(drawn(cell, layers=2))

    assert [(each.layer, each.gate) for each in found] == [
        (layer, gate) for layer in (1, 2) for gate in gates.split()
    ]
    np.testing.assert_allclose([each.singular_value for each in found], 1.0, rtol=1e-6)
    np.testing.assert_allclose([each.radius for each in found], 1.0, rtol=1e-6)


def test_radius_is_what_repeats_and_singular_value_what_one_step_does():
    encoder = zeroed("rnn", hidden_size=2)
    weights(encoder)["weight_hh"].copy_(torch.tensor([[0.5, 3.0], [0.0, 0.25]]))

    (found,) = spectra(encoder)

    assert found.radius == pytest.approx(0.5)
    assert found.singular_value == pytest.approx(np.linalg.svd([[0.5, 3.0], [0.0, 0.25]])[1][0])
