"""Leave one domain out: who trains, who chooses, who is reported on."""

from dataclasses import replace

import pytest
import torch

from securefed.adapters.fedclip import FedCLIP
from securefed.adapters.protocol import Domain, leave_one_out
from securefed.adapters.published import Recipe, Trainer, averaged_round
from securefed.errors import ConfigError
from securefed.rng import seeded
from tests.adapters import gradients

TEXT = gradients.unit(gradients.CLASSES, gradients.DIM, seed=2)
RECIPE = Recipe(learning_rate=2e-2, batch=8, weighted=False)


def adapter():
    return FedCLIP.drawn(text=TEXT, scale=20.0, rng=seeded(1))


def domain(seed, count=60):
    """Return records that tell their class in some channels and nothing in four others."""
    labels = torch.arange(count) % gradients.CLASSES
    drawn = TEXT[labels] + 0.4 * gradients.unit(count, gradients.DIM, seed=seed)
    drawn[:, :4] = gradients.unit(count, 4, seed=seed + 1)
    return torch.nn.functional.normalize(drawn, dim=1), labels


def clients():
    sizes = {11: 60, 21: 60, 31: 180}
    return [Domain.split(*domain(seed, count), rng=seeded(seed)) for seed, count in sizes.items()]


def share(model, records):
    inputs, labels = records
    return (model.logits(inputs).argmax(1) == labels).double().mean().item()


def run(seen=None, unseen=None, **changes):
    choices = {"recipe": RECIPE, "rounds": 6, "rng": seeded(0)} | changes
    return leave_one_out(adapter(), seen or clients(), unseen or domain(41), **choices)


def test_records_are_parted_in_three_as_published_and_each_is_in_one():
    inputs, labels = domain(11)
    parts = Domain.split(inputs, labels, rng=seeded(11))
    kept = [parts.train, parts.validation, parts.test]

    assert [len(part[1]) for part in kept] == [36, 12, 12]
    together = torch.cat([torch.cat([part[0], part[1][:, None]], dim=1) for part in kept])
    assert torch.equal(together.unique(dim=0), torch.cat([inputs, labels[:, None]], dim=1).unique(dim=0))
    assert not torch.equal(together[:, :-1], inputs)
    with pytest.raises(ConfigError, match="4 records"):
        Domain.split(inputs[:4], labels[:4], rng=seeded(0))


def test_the_round_is_the_one_with_the_best_validation_and_the_reports_are_of_its_adapter():
    seen, unseen, random = clients(), domain(41), seeded(0)
    trainers = [Trainer(RECIPE, *client.train, rng=random) for client in seen]
    models = [adapter()]
    for _ in range(6):
        models.append(averaged_round(models[-1], trainers, weighted=False))
    validated = [sum(share(model, client.validation) for client in seen) / 3 for model in models]
    best = max(range(7), key=lambda i: (round(validated[i], 9), -i))
    found = run(seen, unseen)

    assert found.round == best > 0
    assert found.personalised == tuple(share(models[best], client.test) for client in seen)
    assert found.generalised == share(models[best], unseen)
    assert found.generalised > share(adapter(), unseen)


def test_no_test_record_has_a_say_in_the_choice():
    seen = clients()
    wrong = [replace(each, test=(each.test[0], (each.test[1] + 1) % 5)) for each in seen]
    found, other = run(seen), run(wrong, unseen=(domain(41)[0], (domain(41)[1] + 1) % 5))

    assert found.round == other.round
    assert other.generalised < found.generalised


def test_without_rounds_the_initial_adapter_is_reported():
    found = run(rounds=0)

    assert found.round == 0
    assert found.generalised == share(adapter(), domain(41))


def test_without_a_domain_to_train_on_it_is_refused():
    with pytest.raises(ConfigError, match="two or more"):
        leave_one_out(adapter(), [], domain(41), recipe=RECIPE, rounds=1, rng=seeded(0))
