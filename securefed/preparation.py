"""From a plan and a machine to a simulated federation: records, encoded and parted, and a public adapter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from rich.console import Console

from securefed import initial
from securefed import rng as randomness
from securefed.adapter_choices import CacheChoices
from securefed.adapters import clip, features
from securefed.adapters.base import top1
from securefed.adapters.feature_cache import FeatureCache
from securefed.adapters.pictures import Pictures
from securefed.data import partition, public, shots, task
from securefed.data.drawn import Drawings
from securefed.data.images import Images
from securefed.data.manifest import Manifest
from securefed.data.world import Labels, Pixels
from securefed.errors import ConfigError, DigestError
from securefed.machine import Machine
from securefed.plan import Plan
from securefed.stopwatch import Stage, untimed

if TYPE_CHECKING:
    from torch import Tensor

    from securefed.adapters.base import Adapter

IMAGES_PER_CLASS = 40
"""Generated images of each class for adapters that only measure distances with them."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Images as a frozen model sees them.

    Attributes:
        features: Unit vectors, shape ``(n, dim)``.
        labels: Their classes, shape ``(n,)``.
    """

    features: Tensor = field(repr=False)
    labels: Tensor = field(repr=False)

    def accuracy(self, adapter: Adapter) -> float:
        """Return the share of images that an adapter sorts rightly."""
        return adapter.accuracy(self.features, self.labels)

    def zero_shot(self, adapter: Adapter) -> float:
        """Return the share of images that the frozen model alone sorts rightly."""
        return top1(adapter.zero_shot(self.features), self.labels)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Materials:
    """What a simulated federation is made of.

    Attributes:
        shards: Records of each client, by name.
        test: The held-out split of the same domains, which no choice looks at.
        unseen: The domain that was left out; None if none was.
        adapter: The initial, public adapter.
        manifest: Which records each client holds and what is in them. It belongs to the clients.
    """

    shards: Mapping[str, Encoded] = field(repr=False)
    test: Encoded = field(repr=False)
    unseen: Encoded | None = field(repr=False)
    adapter: Adapter
    manifest: Manifest = field(repr=False)

    def beyond(self, adapter: Adapter) -> dict[str, float]:
        """Return how adapter and frozen model do on the domain that was left out, if one was; for a run's last line."""
        if self.unseen is None:
            return {}
        return {
            "unseen_accuracy": self.unseen.accuracy(adapter),
            "unseen_zero_shot_accuracy": self.unseen.zero_shot(adapter),
        }


@final
@dataclass(frozen=True, slots=True, eq=False)
class Encoder:
    """The frozen model, and where it keeps what it encoded.

    Attributes:
        model: The model.
        cache: Of features; None for none.
        console: Shows progress; None for none.
    """

    model: clip.Clip
    cache: FeatureCache | None
    console: Console | None

    @classmethod
    def load(cls, plan: Plan, machine: Machine, console: Console | None) -> Encoder:
        """Load the plan's model from this machine.

        Raises:
            ConfigError: If there is none.
            DigestError: If its weights are others than the plan's.
        """
        weights = machine.checkpoint or plan.pretrained
        model = clip.load(plan.model, pretrained=weights, sha256=plan.model_digest, device=machine.device)
        return cls(model, None if machine.cache is None else FeatureCache(machine.cache), console)

    def __call__(self, images: Images) -> Encoded:
        """Encode every image once."""
        return self.encoded(images.pixels, images.labels)

    def encoded(self, pictures: Pixels | Pictures, labels: Labels) -> Encoded:
        """Encode every picture once."""
        found = features.encode(self.model, pictures, cache=self.cache, console=self.console)
        return Encoded(found, clip.as_tensor(labels))


def prepare(
    plan: Plan, machine: Machine | None = None, *, stage: Stage = untimed, console: Console | None = None
) -> Materials:
    """Load images and model, encode every image once and make the public initial adapter.

    Args:
        plan: The public choices.
        machine: Where files lie.
        stage: Times the stages.
        console: Shows progress.

    Raises:
        ConfigError: If the plan names something that does not exist, promises privacy for records that lie with several
            clients, or does not fit the model.
        DigestError: If weights or public images are others than the plan's.
    """
    machine = machine or Machine()
    with stage("load"):
        found = task.load(
            plan.data,
            seed=plan.seed,
            records=plan.expected_records,
            classes=plan.classes,
            left_out=plan.left_out,
            root=machine.root,
        )
        parts = parted(plan, found.data.train)
        manifest = Manifest.of(found.data, parts, partition=plan.partition, seed=plan.seed)
        encoder = Encoder.load(plan, machine, console)
    with stage("encode"):
        train, test = encoder(found.data.train), encoder(found.data.test)
        unseen = None if found.unseen is None else encoder(found.unseen)
        adapter = initial.build(plan.adapter, public_materials(plan, machine, encoder))
    if (length := len(adapter.vector())) != plan.dim:
        raise ConfigError(f"the adapter sends {length} numbers on model {plan.model!r}, the plan says {plan.dim}")
    return Materials(
        shards={
            name: Encoded(train.features[part], train.labels[part])
            for name, part in zip(plan.cohort, parts, strict=True)
        },
        test=test,
        unseen=unseen,
        adapter=adapter,
        manifest=manifest,
    )


def parted(plan: Plan, train: Images) -> shots.Parts:
    """Part the records among the clients.

    Raises:
        ConfigError: If a private plan's partition gives a record to several clients.
        DataError: If the records cannot be parted so.
    """
    parts = partition.partition(plan.partition, train, plan.clients, rng=_source(plan, "partition"))
    if plan.private and plan.unit == "record" and (copies := shots.copies(parts)) > 1:
        raise ConfigError(
            f"partition {plan.partition!r} gives a record to {copies} clients; it then moves the sum {copies} times as "
            "far as the noise is made for. Use a partition without overlap, or 'client-level' privacy"
        )
    return parts


def public_materials(plan: Plan, machine: Machine, encoder: Encoder) -> initial.Materials:
    """Return what the initial adapter is built from.

    Raises:
        ConfigError: If the plan's classes cannot be generated, or its folder of public images is not named.
        DigestError: If the folder holds other images than the plan's.
    """
    rng = _source(plan, "adapter")
    if plan.public == "texts":
        return initial.Materials.of_texts(encoder.model, plan.classes, plan.templates, rng=rng)
    if plan.public == "generated":
        drawings = _generated(plan)
        encoded = encoder.encoded(drawings, drawings.labels)
    else:
        encoded = encoder(_from_folder(plan, machine))
    return initial.Materials(
        encoder.model, plan.classes, plan.templates, encoded.features, encoded.labels, images=True, rng=rng
    )


def _generated(plan: Plan) -> Drawings:
    count = plan.adapter.images_per_class if isinstance(plan.adapter, CacheChoices) else IMAGES_PER_CLASS
    return Drawings(plan.classes, count, seed=plan.seed, label="generated images")


def _from_folder(plan: Plan, machine: Machine) -> Images:
    if machine.public_images is None:
        raise ConfigError("the plan starts from a folder of public images; name it with 'public_images'")
    images = public.of_folder(machine.public_images, plan.classes)
    if (found := public.digest_of(images)) != plan.public_digest:
        raise DigestError(
            f"the images in {machine.public_images} have digest {found}, the plan's have {plan.public_digest}; all "
            "parties start from the same ones"
        )
    return images


def _source(plan: Plan, label: str) -> randomness.Source:
    return randomness.seeded(plan.seed, label)
