"""The federation that games are played on: real digits, the embedded CLIP, and the production path.

Nothing here is a model of the package: contributions, sums and adapters come from :func:`securefed.rounds.run_round`
under a plan. What an arm switches off, it switches off in the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, final

import numpy as np

from securefed.adapter_choices import AdapterChoices, CacheChoices
from securefed.aggregation.base import never
from securefed.aggregation.packing import to_ring, unpack
from securefed.aggregation.wire import Kind, decode, unframe
from securefed.encoding import RingVector, Vector
from securefed.plan import Plan
from securefed.privacy import accounting
from securefed.privacy.accounting import Profile
from securefed.rng import Source, seeded
from securefed.rounds import NOBODY, Client, Owners, ServerState, Sources, contribution, run_round
from securefed.threat_models.game import Arm
from securefed.threat_models.views import Message, Recording, View

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from securefed.adapters.base import Adapter
    from securefed.adapters.cachefl import CacheFL

EPSILON, DELTA = 4.0, 1e-5
ALPHA, BETA, KEYS, SHRINKAGE, GENERATED = 10.0, 0.5, 2, 0.03, 80
CACHE = CacheChoices(alpha=ALPHA, beta=BETA, keys_per_class=KEYS, shrinkage=SHRINKAGE)
CLIP = 0.3
"""In parameter units; about two of five real digits have a longer gradient, and are what an attacker looks for."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Real images and what is public.

    Attributes:
        pixels: Training images, RGB.
        features: Their features, shape ``(n, dim)``.
        labels: Their classes, shape ``(n,)``.
        test: Features and labels of the held-out split.
        public: Features and labels of generated images.
        adapter: The public initial adapter.
        classes: Class names.
        model_digest: SHA-256 of the model's weights.
    """

    pixels: npt.NDArray[np.uint8] = field(repr=False)
    features: Tensor = field(repr=False)
    labels: Tensor = field(repr=False)
    test: tuple[Tensor, Tensor] = field(repr=False)
    public: tuple[Tensor, Tensor] = field(repr=False)
    adapter: CacheFL = field(repr=False)
    classes: tuple[str, ...]
    model_digest: str


@lru_cache(maxsize=1)
def world() -> World:
    """Encode the real digits once a process."""
    from securefed.adapters import clip
    from securefed.adapters.cachefl import CacheFL
    from securefed.data import datasets

    data = datasets.load("digits", seed=0)
    generated = datasets.public_images(data.train.class_names, GENERATED, rng=seeded(0, "generated images"))
    model = clip.load(clip.EMBEDDED, sha256=clip.EMBEDDED_SHA256)
    features, test, public = (model.encode_images(images.pixels) for images in (data.train, data.test, generated))
    labels, test_labels, public_labels = (
        clip.as_tensor(images.labels) for images in (data.train, data.test, generated)
    )
    adapter = CacheFL.from_generated(
        public,
        public_labels,
        text=model.encode_classes(data.train.class_names),
        scale=model.logit_scale,
        alpha=ALPHA,
        beta=BETA,
        keys_per_class=KEYS,
        shrinkage=SHRINKAGE,
    )
    return World(
        pixels=np.asarray(data.train.pixels),
        features=features.double(),
        labels=labels,
        test=(test, test_labels),
        public=(public.double(), public_labels),
        adapter=adapter,
        classes=data.train.class_names,
        model_digest=clip.EMBEDDED_SHA256,
    )


@lru_cache
def plan_of(
    arm: Arm,
    *,
    clients: int,
    records: int,
    rounds: int = 1,
    epsilon: float = EPSILON,
    adapter: AdapterChoices = CACHE,
    clip_norm: float = CLIP,
) -> Plan:
    """Return the plan of an arm. Noise is sized for exactly this cohort, so that bounds are as tight as they can be."""
    from securefed.adapters import clip

    return Plan.create(
        setting=arm.setting,
        secure=arm.secure,
        classes=world().classes,
        model=clip.EMBEDDED,
        model_digest=world().model_digest,
        feature_dim=clip.EMBEDDED_DIM,
        adapter=adapter.model_dump(),
        clients=clients,
        rounds=rounds,
        expected_records=records,
        clip_norm=clip_norm,
        learning_rate=4.0 / clip_norm,
        momentum=0.5,
        epsilon=None if arm.setting == "none" else epsilon,
        delta=DELTA,
    )


def guarantee(plan: Plan) -> Profile:
    """Return what the plan's events allow somebody who sees the sums."""
    return accounting.profile(plan.events, view="server")


@final
class Unmetered:
    """Stands for a ledger: a game repeats a round more often than any budget allows, on data that nobody releases."""

    def charge(self, *_: object, **__: object) -> None:
        """Charge nothing."""


UNMETERED: Any = Unmetered()


def seeded_sources(seed: int, *labels: str | int) -> Sources:
    """Return the parties' randomness: from a seed, so that a result can be repeated. Nothing made of it is released."""
    return lambda purpose, number, client: seeded(seed, *labels, purpose, number, client)


def play(
    plan: Plan,
    records: Mapping[str, tuple[Tensor, Tensor]],
    *,
    rng: Sources,
    owners: Owners = NOBODY,
    lost: Callable[[str, str], bool] = never,
    adapter: Adapter | None = None,
) -> Recording:
    """Run a plan on the production path, from the world's adapter unless another is given, and record everything."""
    state = ServerState.initial(adapter or world().adapter)
    messages: list[Message] = []
    adapters, sums, survivors = [state.adapter], [], []
    clients = [Client(name, *own, UNMETERED, _batches(plan)) for name, own in records.items()]
    for number in range(1, plan.rounds + 1):
        note = partial(_note, messages, number)
        done = run_round(
            plan, state, clients, run="game", number=number, rng=rng, owners=owners, lost=lost, record=note
        )
        sums.append(_sum(plan, state, done.state))
        state = done.state
        adapters.append(state.adapter)
        survivors.append(done.survivors)
    return Recording(plan, tuple(adapters), tuple(sums), tuple(survivors), tuple(messages), dict(records))


def contributions(plan: Plan, records: Mapping[str, tuple[Tensor, Tensor]], *, rng: Sources) -> dict[str, RingVector]:
    """Return what every client puts into the first round's sum: for games that stand between clients and server."""
    batches = _batches(plan)
    return {
        name: contribution(
            plan,
            world().adapter,
            Client(name, *own, UNMETERED, batches),
            run="game",
            number=1,
            rng=rng("noise", 1, name),
        )
        for name, own in records.items()
    }


def _batches(plan: Plan) -> Any:
    return plan.batches("game") if plan.private else None


def _note(messages: list[Message], number: int, *message: *tuple[str, str, str, bytes]) -> None:
    phase, client, direction, content = message
    messages.append(Message(number, phase, client, direction, bytes(content)))


def _sum(plan: Plan, before: ServerState, after: ServerState) -> Vector:
    """Return the sum of a round, as anybody can compute it from what the server carries over."""
    return (after.velocity - plan.momentum * before.velocity) * plan.normaliser


@lru_cache(maxsize=1)
def exposed() -> npt.NDArray[np.int64]:
    """Return the places of records whose gradients are clipped: what is hard for the model is what shows most."""
    norms = world().adapter.record_gradients(world().features, world().labels).norms()
    return np.flatnonzero((norms >= CLIP).numpy())


def deal(
    rng: Source, *, clients: Sequence[str], each: int, among: npt.NDArray[np.int64] | None = None
) -> dict[str, npt.NDArray[np.int64]]:
    """Give every client other records of the world, or of some of it, chosen at random; return their places."""
    order = rng.generator().permutation(np.arange(len(world().labels)) if among is None else among)
    return {name: order[at * each : (at + 1) * each] for at, name in enumerate(clients)}


def shards(places: Mapping[str, npt.NDArray[np.int64]]) -> dict[str, tuple[Tensor, Tensor]]:
    """Return features and labels of each client's records."""
    return {name: (world().features[own], world().labels[own]) for name, own in places.items()}


def what_is_known(view: View, client: str, number: int = 1) -> Vector:
    """Return the best that a server has about one client's vector in a round, in parameter units, shape ``(dim,)``.

    A plain message is the vector itself; behind masks, what is left is the sum.
    """
    if view.plan.secure != "plain":
        return view.sums[number - 1]
    return what_was_sent(view, client, number)


def what_was_sent(view: View, client: str, number: int = 1) -> Vector:
    """Return what one client's message says if it is read as a vector: the vector, or the vector under its masks."""
    plan, phase = view.plan, {"mask": "mask"}.get(view.plan.secure, "plain")
    wanted = (number, phase, client, "answer")
    (packed,) = (m.content for m in view.messages if (m.number, m.phase, m.client, m.direction) == wanted)
    if phase == "mask":
        _, (_, payload, _) = decode(unframe(Kind.MASKED, packed, size=len(packed)), numbers=2, strings=3)
        _, (packed,) = decode(payload, numbers=0, strings=1)
    words = unpack(packed, dim=8 * len(packed) // plan.bits, bits=plan.bits)[: plan.dim]
    return plan.encoding.decode(to_ring(words, plan.bits))


def noise_variance(plan: Plan, *, summands: int) -> float:
    """Return the variance of each coordinate of a sum, in parameter units squared: noise and rounding."""
    return plan.encoding.step**2 * summands * (plan.share_stddev**2 + 1 / 12)


def gradients(
    features: Tensor, labels: Tensor, *, adapter: Adapter | None = None, clip_norm: float = CLIP
) -> npt.NDArray[np.float64]:
    """Return the clipped gradients of records at the initial adapter, shape ``(n, dim)``: what an attacker knows."""
    rows = (adapter or world().adapter).record_gradients(features, labels).dense().numpy()
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows * np.minimum(1.0, clip_norm / np.maximum(lengths, 1e-300)))


@lru_cache
def utility(setting: str) -> float:
    """Return the accuracy on held-out digits of what eight clients train together in ten rounds under a setting."""
    arm = Arm(defences="", claim="none", setting=setting)  # type: ignore[arg-type]
    each = len(world().labels) // 8
    plan = plan_of(arm, clients=8, records=8 * each, rounds=10)
    dealt = shards(deal(seeded(0, "utility"), clients=plan.cohort, each=each))
    return play(plan, dealt, rng=seeded_sources(0, "utility")).adapters[-1].accuracy(*world().test)
