import torch

from tests.nn.test_networks import network, walk
from tsrnn.nn.ensemble import NetworkEnsemble
from tsrnn.nn.paths import shift_paths, stratified_uniforms

LEVELS = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)


def members(**plan):
    made = [network(**plan) for _ in range(3)]
    for i, one in enumerate(made):
        with torch.no_grad():
            one.head.out.bias += 0.3 * i
    return made


def test_an_ensemble_says_the_mean_of_its_members_quantiles():
    each = members(patch=2)
    together = NetworkEnsemble(each)
    values = walk(4, together.plan.look_back + 12)

    said = together.quantiles(together.say(values, together.read(values)), LEVELS)

    alone = [one.quantiles(one.say(values, one.read(values)), LEVELS) for one in each]
    assert (alone[0] - alone[1]).abs().max() > 0.01
    torch.testing.assert_close(said, torch.stack(alone).mean(0))


def test_every_member_goes_on_from_its_own_state():
    each = members(horizon=1)
    together = NetworkEnsemble(each)
    values = walk(2, together.plan.look_back + 9)

    _, state = together.advance(values, together.read(values[:, :-1]))

    for own, whole in zip(together._split(state), (one.read(values) for one in each), strict=True):
        torch.testing.assert_close(own[0], whole[0], rtol=1e-5, atol=1e-6)


def test_an_ensemble_of_one_rolls_on_as_the_network_alone():
    alone = network(horizon=1)
    together = NetworkEnsemble([alone])
    values = walk(2, alone.plan.look_back + 9)
    noise = stratified_uniforms(5, 4, torch.Generator().manual_seed(0))

    expected = shift_paths(alone, values, alone.read(values), noise)
    paths = shift_paths(together, values, together.read(values), noise)

    torch.testing.assert_close(paths, expected, rtol=0, atol=0)
