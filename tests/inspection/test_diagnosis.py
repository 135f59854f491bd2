"""What ``diagnose`` finds in networks that were spoiled by hand, and what it says about them."""

import numpy as np
import pandas as pd
import pytest
import torch

from tests.contract.samples import tiny, waves
from tests.inspection.encoders import weights
from tsrnn import load
from tsrnn.exceptions import NotFittedError
from tsrnn.inspection import plot_network

pytestmark = pytest.mark.filterwarnings("ignore::tsrnn.exceptions.SkillWarning")


def fitted(cell="gru", **changes):
    model = tiny(cell=cell, max_steps=2, **changes).fit(waves())
    model.best_step_ = 2  # as if training had been of use
    return model


def spoil(model, **values):
    """Set weights of the first layer: a number for all, or a tensor."""
    with torch.no_grad():
        for name, value in values.items():
            weight = weights(model.network_.members[0].encoder)[name]
            weight.copy_(torch.as_tensor(value).expand_as(weight))
    return model


def kinds(diagnosis):
    return [finding.kind for finding in diagnosis.findings]


def size(model):
    return model.network_.plan.encoder.hidden_size


def test_recurrence_that_contracts_is_found_to_vanish_where_it_does():
    model = spoil(fitted("rnn"), weight_ih=0.0, bias_ih=0.0, bias_hh=0.0)
    spoil(model, weight_hh=0.5 * torch.eye(size(model)))

    found = model.diagnose()

    np.testing.assert_allclose(found.gradients["median"], 0.5 ** found.gradients.index.to_numpy())
    (vanishing,) = (each for each in found.findings if each.kind == "vanishing")
    assert "beyond lag 6 " in vanishing.text  # 0.5**6 = 0.016, 0.5**7 = 0.008
    assert "cell='gru' or 'lstm'" in vanishing.advice


def test_recurrence_that_keeps_all_is_not_found_to_vanish():
    model = spoil(fitted("rnn"), weight_ih=0.0, bias_ih=0.0, bias_hh=0.0)
    spoil(model, weight_hh=torch.eye(size(model)))

    assert not {"vanishing", "exploding"} & set(kinds(model.diagnose()))


def test_recurrence_that_stretches_is_found_to_explode():
    model = spoil(fitted("rnn"), weight_ih=0.0, bias_ih=0.0, bias_hh=0.0)
    spoil(model, weight_hh=1.5 * torch.eye(size(model)))

    found = model.diagnose()

    (exploding,) = (each for each in found.findings if each.kind == "exploding")
    assert "spectral radius of 1.50 (layer 1, h)" in exploding.text
    assert "gradient_clip" in exploding.advice


def test_gates_and_units_out_of_use_are_found_by_name():
    gates, units = spoil(fitted("gru"), weight_ih=0.0, bias_ih=9.0), fitted("rnn_relu")
    spoil(units, bias_ih=torch.tensor([-1e3] + [0.0] * (size(units) - 1)))

    found = gates.diagnose()

    texts = [each.text for each in found.findings if each.kind == "saturated gate"]
    assert any("gate z of layer 1 is open" in text for text in texts)
    assert found.gates.set_index("gate")["open"]["z"] == 1.0
    dead = units.diagnose()
    assert dead.units["dead"][0] >= 1
    assert "dead units" in kinds(dead)


def test_training_of_which_nothing_was_kept_is_said_first():
    model = fitted()
    model.best_step_ = 0

    assert kinds(model.diagnose())[0] == "nothing kept"


def test_gradients_far_above_the_clip_are_found():
    model = fitted(gradient_clip=0.001)
    model.history_ = pd.DataFrame({"step": [1, 2], "gradient_norm": [0.5, 0.7]})

    (clipped,) = (each for each in model.diagnose().findings if each.kind == "clipped")

    assert "0.6 and are cut to 0.001" in clipped.text


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
@pytest.mark.parametrize("patch", [1, 4])
def test_words_say_every_number_that_was_found(cell, patch):
    found = fitted(cell, num_layers=2, patch=patch).diagnose()

    text = str(found)

    assert f"{found.histories} histories of {found.steps} steps, {patch} row" in text
    for finding in found.findings:
        assert finding.text in text
        assert finding.advice in text
    assert len(found.units) == 2


def test_looking_leaves_forecasts_and_weights_as_they_were():
    model = fitted()
    before = model.predict()

    model.diagnose()

    pd.testing.assert_frame_equal(model.predict(), before)
    assert all(weight.requires_grad for weight in model.network_.members[0].encoder.parameters())


def test_other_histories_give_other_numbers():
    model = fitted()

    own, other = model.diagnose(), model.diagnose(waves(series=1, seed=5))

    assert other.histories == 1
    assert not np.allclose(own.gradients["median"], other.gradients["median"])


def test_what_is_not_fitted_has_no_inside():
    with pytest.raises(NotFittedError):
        tiny().diagnose()
    with pytest.raises(NotFittedError):
        plot_network(tiny())


# ---- pictures -----------------------------------------------------------------------------


def test_picture_of_a_diagnosis_has_a_panel_for_gradients_each_layers_gates_and_training():
    found = fitted("lstm", num_layers=2).diagnose()

    gradients, first, second, training = found.plot().axes

    drawn = next(line for line in gradients.get_lines() if line.get_label() == "median")
    np.testing.assert_allclose(drawn.get_ydata(), found.gradients["median"].clip(lower=1e-12))
    assert gradients.get_yscale() == "log"
    gates = found.gates_by_step
    for number, axes in ((1, first), (2, second)):
        for line in axes.get_lines():
            rows = gates[(gates["layer"] == number) & (gates["gate"] == line.get_label())]
            np.testing.assert_allclose(line.get_ydata(), rows["mean"])
    norms = training.get_lines()[0].get_ydata()
    np.testing.assert_allclose(norms, found.training["gradient_norm"])


@pytest.mark.parametrize(("cell", "times"), [("gru", 3), ("lstm", 4), ("rnn", 1)])
def test_picture_of_the_network_shows_sizes_and_every_parameter(cell, times):
    model = fitted(cell, num_layers=2)
    network, h = model.network_.members[0], size(model)

    figure = plot_network(model)

    words = " ".join(text.get_text() for text in figure.axes[0].texts) + figure.get_suptitle()
    features = network.encoder.layers[0].input_size
    assert f"{times * (features * h + h * h + 2 * h):,} parameters" in words
    assert f"{times * (2 * h * h + 2 * h):,} parameters" in words
    assert f"{features} features" in words
    assert f"next {network.plan.horizon} steps" in words
    assert f"{sum(p.numel() for p in network.parameters()):,} parameters" in words


def test_summary_writes_the_formula_of_each_layer_and_its_count():
    model = fitted("lstm", num_layers=2)
    h = size(model)

    text = model.summary()

    assert f"LSTM, n = {h}, h = {h}: 4(nh + h² + 2h) = {4 * (2 * h * h + 2 * h):,}" in text
    assert f"n = {model.network_.members[0].encoder.layers[0].input_size}" in text


# ---- where it must work, too --------------------------------------------------------------


def test_a_model_that_was_saved_says_the_same_when_it_is_loaded(tmp_path):
    model = fitted()
    model.save(tmp_path / "model")

    again = load(tmp_path / "model").diagnose()

    assert str(again) == str(model.diagnose())


def test_covariates_are_read_as_in_training():
    frame = waves()
    frame = frame.assign(load=np.cos(frame.index / 5), kind=frame["unique_id"])
    model = tiny(max_steps=2, future_covariates=["load"], static_covariates=["kind"]).fit(frame)

    found = model.diagnose()

    changed = model.diagnose(frame.assign(load=frame["load"] + 1.0))
    assert found.histories == 2
    assert not np.allclose(found.gradients["median"], changed.gradients["median"])


def test_a_single_step_has_units_and_gates_but_no_lag():
    found = fitted(context_length=4, patch=4).diagnose()

    assert found.steps == 1
    assert found.gradients.empty
    assert len(found.gates) == 2
    assert "nothing is carried from step to step" in str(found)
    assert len(found.plot().axes) == 3


def test_a_bidirectional_network_has_units_in_both_directions_and_carries_nothing():
    found = fitted(bidirectional=True).diagnose()

    assert found.gradients.empty
    assert found.units["layer"].tolist() == [1, 2]
    assert len(found.spectra) == 6
    assert not {"vanishing", "exploding"} & set(kinds(found))
    assert len(found.plot().axes) == 2


@pytest.mark.parametrize("initial", ["learned", "static"])
def test_the_initial_state_is_that_of_the_network(initial):
    frame = waves()
    frame = frame.assign(kind=frame["unique_id"])
    model = tiny(
        max_steps=2, static_covariates=["kind"], initial_state=initial, context_length=4
    ).fit(frame)

    found = model.diagnose()
    with torch.no_grad():
        for parameter in model.network_.members[0].encoder.initial.parameters():
            parameter.add_(1.0)

    assert not np.allclose(model.diagnose().gradients, found.gradients)


@pytest.mark.parametrize("decoder", ["shift", "recurrent", "attention"])
def test_every_decoder_may_stand_on_what_is_looked_at(decoder):
    model = fitted(decoder=decoder)

    assert model.diagnose().gradients.index[-1] == model.diagnose().steps - 1
    total = sum(weight.numel() for weight in model.network_.members[0].parameters())
    assert f"{total:,} parameters" in plot_network(model).get_suptitle()
