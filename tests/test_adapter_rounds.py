"""Every adapter in every setting: masked, encrypted and plain rounds add up to the same bits, for the same charge."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from securefed import initial
from securefed.adapter_choices import FloraChoices
from securefed.adapters.fedclip import FedCLIP
from securefed.errors import ConfigError
from securefed.plan import Plan
from securefed.privacy import accounting
from securefed.recipes import ADAPTERS
from securefed.rng import seeded
from securefed.rounds import Client, ServerState, run_round
from securefed.training import compared_sum
from tests import toys
from tests.adapters import texts

WIDTH = {"text_width": 128}
KINDS = {
    "cachefl": {"kind": "cachefl", "keys_per_class": 2, "shrinkage": 0.1},
    "fedclip": {"kind": "fedclip"},
    "linear": {"kind": "linear"},
    "clip-adapter": {"kind": "clip-adapter", "reduction": 16},
    "flora": {"kind": "flora", "text_layers": 2, "fit": "pull-back", "when": "every round"} | WIDTH,
    "flora, b": {"kind": "flora", "text_layers": 2, "trained": "b", "rank": 1} | WIDTH,
    "flora, alternating": {"kind": "flora", "text_layers": 2, "trained": "alternating", "rank": 1} | WIDTH,
    "prompts": {"kind": "prompts"} | WIDTH,
}
SETTINGS = {
    "distributed": {},
    "per-client": {"setting": "per-client"},
    "client-level": {"setting": "client-level"},
    "none": {"setting": "none"},
}
NAMES = texts.NAMES[:2]
CLIENTS, RECORDS = 4, 24


@pytest.fixture(scope="module")
def features():
    return toys.unit(RECORDS, 128, seed=3), torch.arange(RECORDS) % len(NAMES)


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def adapter(request, features):
    """An adapter with its choices, built from public values alone."""
    public = initial.Materials(
        texts.model(), NAMES, texts.TEMPLATES, toys.unit(40, 128, seed=5), torch.arange(40) % 2, True, seeded(1)
    )
    choices = ADAPTERS.validate_python(request.param)
    return choices, initial.build(choices, public)


def plan(choices, **changes):
    values = {"classes": NAMES, "feature_dim": 128, "adapter": choices.model_dump(), "clients": CLIENTS, "rounds": 1}
    sizes = {"expected_records": RECORDS, "delta": 1e-2, "momentum": 0.0, "learning_rate": 1e-3}
    return toys.plan(**values | sizes | changes)


class Book:
    """A ledger in memory."""

    def __init__(self):
        self.events = []

    def charge(self, event, **_):
        self.events.append(event)


def after_a_round(plan, adapter, features):
    """Return the adapter after one round, and what each client was charged."""
    labels = features[1].tensor_split(CLIENTS)
    books = {name: Book() for name in plan.cohort if plan.private}
    clients = [
        Client(name=name, features=own, labels=labels[i], ledger=books.get(name))
        for i, (name, own) in enumerate(zip(plan.cohort, features[0].tensor_split(CLIENTS), strict=True))
    ]
    rng = lambda purpose, number, client: seeded(7, purpose, number, client)  # noqa: E731
    done = run_round(plan, ServerState.initial(adapter), clients, run="r", number=1, rng=rng)
    spent = {accounting.epsilon(each.events, delta=plan.delta, view="coalition") for each in books.values()}
    return done.state.adapter, spent


def test_a_plan_knows_how_long_the_adapters_updates_are(adapter):
    choices, built = adapter

    assert plan(choices).dim == len(built.vector())


@pytest.mark.parametrize("changes", SETTINGS.values(), ids=SETTINGS)
def test_masked_and_plain_rounds_end_at_the_same_bits_within_the_same_budget(adapter, features, changes):
    choices, built = adapter
    ends = [
        after_a_round(chosen, built, features)
        for chosen in (plan(choices, **changes, secure=secure) for secure in ("mask", "plain"))
    ]
    (masked, spent), (plain, _) = ends

    assert np.array_equal(masked.vector(), plain.vector())
    assert not np.array_equal(masked.vector(), built.vector())
    assert all(0 < each <= 2.0 * (1 + 1e-9) for each in spent)
    assert bool(spent) == (changes.get("setting") != "none")


def test_encrypted_rounds_do_too(adapter, features):
    choices, built = adapter
    ends = [after_a_round(plan(choices, secure=secure), built, features)[0] for secure in ("bfv", "plain")]

    assert np.array_equal(ends[0].vector(), ends[1].vector())


@pytest.mark.parametrize("setting", ["distributed", "per-client", "client-level"])
def test_a_loss_that_compares_records_is_refused_under_privacy(setting):
    with pytest.raises(ConfigError, match="compares the records"):
        plan(ADAPTERS.validate_python(KINDS["fedclip"]), setting=setting, loss="info-nce")


def test_a_loss_that_compares_records_is_refused_for_an_adapter_without_vectors():
    with pytest.raises(ConfigError, match="image and class vectors"):
        plan(ADAPTERS.validate_python(KINDS["linear"]), setting="none", loss="info-nce")


def test_without_privacy_the_published_loss_is_what_is_stepped_along():
    """Restated: each image against the texts of the batch's labels, each text against its images, by their mean."""
    text = toys.unit(3, 6, seed=2)
    found = FedCLIP.drawn(text=text, scale=10.0, rng=seeded(1))
    features, labels = toys.unit(9, 6, seed=3), torch.arange(9) % 3
    free = torch.from_numpy(found.vector()).requires_grad_()
    images, _ = found.pair(free, features)
    own = torch.log_softmax(10 * images @ text[labels].T, 1).diagonal()
    other = torch.log_softmax(10 * images @ text[labels].T, 0).diagonal()
    (expected,) = torch.autograd.grad(-(own + other).sum() / 2, free)

    sent = compared_sum(found, features, labels, clip_norm=1e6)
    np.testing.assert_allclose(sent, expected.numpy(), rtol=1e-9, atol=1e-12)
    assert np.linalg.norm(compared_sum(found, features, labels, clip_norm=1e-3)) == pytest.approx(9e-3)
    assert not compared_sum(found, features[:1], labels[:1], clip_norm=1.0).any()


def test_a_round_without_privacy_takes_that_step(features):
    choices = ADAPTERS.validate_python({"kind": "fedclip"})
    built = FedCLIP.drawn(text=toys.unit(2, 128, seed=2), scale=10.0, rng=seeded(1))
    ends = [
        after_a_round(plan(choices, setting="none", loss=loss), built, features)[0].vector()
        for loss in ("cross-entropy", "info-nce")
    ]

    assert not np.array_equal(*ends)


def test_factors_that_alternate_are_refused_with_momentum():
    with pytest.raises(ConfigError, match="momentum"):
        plan(ADAPTERS.validate_python(KINDS["flora, alternating"]), momentum=0.5)


def test_the_server_settles_an_adapter_after_each_round_and_releases_it_after_the_last(adapter):
    choices, built = adapter
    chosen = plan(choices)
    total = seeded(2).generator().normal(size=chosen.dim)
    moved = ServerState.initial(built).moved(chosen, total).adapter

    if choices.kind == "flora" and choices.trained == "alternating":
        assert moved.turn
    if choices.kind == "flora" and choices.trained == "texts":
        late = ServerState.initial(replace(built, when="at the end")).moved(chosen, total)
        assert not torch.equal(moved.parameters, built.parameters)
        assert torch.equal(late.adapter.parameters, built.parameters)
        assert not torch.equal(late.released().adapter.parameters, built.parameters)


def test_what_a_plan_says_of_an_adapter_survives_toml(tmp_path):
    for values in KINDS.values():
        made = plan(ADAPTERS.validate_python(values))
        (tmp_path / "plan.toml").write_text(made.to_toml())
        assert Plan.from_toml(tmp_path / "plan.toml") == made


def test_published_sizes_are_those_of_the_notes():
    """At ViT-B/32: two layers of 512 with biases; rank-2 factors of twelve output projections; keys."""
    sizes = {
        "fedclip": ADAPTERS.validate_python({"kind": "fedclip"}).dim(100, 512),
        "flora": FloraChoices(text_width=512, text_layers=12).parameters(100, 512),
        "cachefl": ADAPTERS.validate_python({"kind": "cachefl", "keys_per_class": 16}).dim(100, 512),
    }

    assert sizes == {"fedclip": 525_312, "flora": 24_576, "cachefl": 100 * 16 * 512}
