"""Choices: what somebody decides about a run, before the noise that follows from it is known.

Every value is public. What can be refused without knowing the noise is refused here; the rest in :mod:`securefed.plan`.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from securefed.adapter_choices import AnyAdapter, CacheChoices, FloraChoices
from securefed.adapters import templates
from securefed.aggregation.parameters import MOST_ROUNDS, default_threshold
from securefed.aggregation.policy import HARD_FLOOR
from securefed.errors import ConfigError
from securefed.privacy import accounting
from securefed.privacy.clipping import Adjacency

Setting = Literal["distributed", "per-client", "client-level", "none"]
Secure = Literal["mask", "ckks", "bfv", "plain"]
Noise = Literal["discrete-gaussian", "skellam"]
Sample = Literal["full", "poisson", "shuffled"]
Public = Literal["generated", "folder", "texts"]
Loss = Literal["cross-entropy", "info-nce"]


class Choices(BaseModel):
    """What somebody decides about a run.

    Attributes:
        setting: ``distributed`` (noise shares add up in the secure sum), ``per-client`` (every message is private by
            itself), ``client-level`` (as distributed, but the unit is a client's whole data) or ``none`` (not private).
        secure: How updates travel: ``mask``, ``ckks`` or ``bfv`` (encrypted for a decryptor), or ``plain``.
        data: Name of the data set.
        partition: How records are parted among clients.
        left_out: Domain that nobody trains on, to see what the adapter does there; None for none.
        seed: Of the data choices (split, partition, generated images); never of noise or keys.
        classes: Class names, public and fixed.
        model: Name of the CLIP model.
        pretrained: Tag of its published weights; None for the embedded model, a checkpoint or a folder.
        model_digest: SHA-256 of its weights.
        feature_dim: Length of its features.
        templates: Prompts that class names are put into.
        adapter: Public choices of the adapter.
        public: What the adapter starts from that belongs to no client: images that are ``generated`` with the package,
            a ``folder`` of images that some other generator drew, or class ``texts`` alone.
        public_digest: SHA-256 over the images of such a folder; None otherwise.
        loss: ``cross-entropy`` of each record over all classes; or ``info-nce``, which FedCLIP and FLoRA were published
            with and which compares a client's records with one another: only without privacy. See
            :mod:`securefed.adapters.losses`.
        clients: Size of the cohort.
        rounds: Model updates.
        local_steps: Steps that a client takes by itself in a round. Each is charged, except under ``client-level``,
            where only what leaves the client counts.
        sampling: Which records a step is about: all (``full``), each by a coin of its own (``poisson``), or one part of
            a shuffled order (``shuffled``, accounted for as what it is: without amplification).
        sampling_rate: Share of the records that a step is about.
        expected_records: Public number of records over all clients. Never the true count.
        clip_norm: Largest L2 norm of what one unit adds: a record's gradient or, under ``client-level``, an update.
        learning_rate: Of a step on the normalised sum, at the server and in local steps.
        momentum: Of the server.
        epsilon: Target that must hold for the view of a coalition; None only without privacy.
        delta: The target's delta.
        adjacency: Which data sets are neighbours.
        noise: Distribution of a client's share.
        max_dropouts: Clients that may vanish after their noise was drawn.
        max_colluders: Clients that may reveal their share of the noise.
        bits: Size of the ring.
        rounds_per_deal: Rounds whose keys and shares the clients of a masked sum exchange at once. Others take part in
            two phases instead of four; who misses the exchange is out until the next (decision 7).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    setting: Setting = "distributed"
    secure: Secure = "mask"
    data: str = "digits"
    partition: str = "iid"
    left_out: str | None = None
    seed: int = Field(default=0, ge=0)
    classes: tuple[str, ...] = Field(min_length=2)
    model: str
    pretrained: str | None = None
    model_digest: str
    feature_dim: int = Field(ge=1)
    templates: tuple[str, ...] = Field(default=(templates.PLAIN,), min_length=1)
    adapter: AnyAdapter = CacheChoices()
    public: Public = "generated"
    public_digest: str | None = None
    loss: Loss = "cross-entropy"
    clients: int = Field(default=8, ge=2)
    rounds: int = Field(default=20, ge=1)
    local_steps: int = Field(default=1, ge=1)
    sampling: Sample = "full"
    sampling_rate: float = Field(default=1.0, gt=0, le=1)
    expected_records: int = Field(ge=2)
    clip_norm: float = Field(gt=0, allow_inf_nan=False)
    learning_rate: float = Field(gt=0, allow_inf_nan=False)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    epsilon: float | None
    delta: float
    adjacency: Adjacency = Adjacency.ADD_OR_REMOVE_ONE
    noise: Noise = "discrete-gaussian"
    max_dropouts: int = Field(default=0, ge=0)
    max_colluders: int = Field(default=0, ge=0)
    bits: int = Field(default=32, ge=2, le=64)
    rounds_per_deal: int = Field(default=8, ge=1, le=MOST_ROUNDS)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Refuse choices that cannot hold together, before any data is seen."""
        self._cohort_holds()
        self._steps_hold()
        self._adapter_holds()
        if self.private:
            self._target_holds()
        elif self.epsilon is not None:
            raise ConfigError("setting 'none' has no epsilon and no noise; choose 'distributed' or 'per-client'")
        return self

    def _cohort_holds(self) -> None:
        if self.expected_records < self.clients:
            raise ConfigError(
                f"{self.clients} clients share {self.expected_records} records; each needs at least one. "
                "Use fewer clients"
            )
        if self.secure != "plain" and self.clients < HARD_FLOOR:
            raise ConfigError(
                f"clients is {self.clients}; a sum over two shows each client the other's update. Masked and encrypted "
                f"sums have at least {HARD_FLOOR} clients"
            )
        if self.max_dropouts > self.clients - default_threshold(self.clients):
            raise ConfigError(
                f"max_dropouts is {self.max_dropouts}; of {self.clients} clients at most "
                f"{self.clients - default_threshold(self.clients)} may drop out: with more, a server "
                "could have two different sets of survivors opened"
            )
        if self.honest_shares - (1 if self.private else 0) < 1:
            raise ConfigError(
                f"of {self.clients} clients, {self.max_dropouts} may drop out and {self.max_colluders} may collude; "
                "at least two others must remain, or the sum is one client's update"
            )

    def _steps_hold(self) -> None:
        if self.setting == "distributed" and self.local_steps != 1:
            raise ConfigError(
                f"local_steps is {self.local_steps}; under 'distributed' a client's share of the noise protects "
                "nothing until the sum, so it takes one step a round. Use 'per-client' or 'client-level' for more"
            )
        if self.setting in ("client-level", "none") and self.sampling != "full":
            raise ConfigError(
                f"sampling is {self.sampling!r}; under {self.setting!r} samples of a client's records save nothing. "
                "Use 'full'"
            )
        if (self.sampling == "full") != (self.sampling_rate == 1):
            raise ConfigError(
                f"sampling_rate is {self.sampling_rate:g} with sampling {self.sampling!r}; full batches have rate 1, "
                "'poisson' and 'shuffled' a lower one"
            )
        if self.sampling == "shuffled" and abs(self.parts * self.sampling_rate - 1) > 1e-9:
            raise ConfigError(
                f"sampling_rate is {self.sampling_rate:g}; a shuffled order has equal parts: one over a whole number"
            )
        if self.noise == "skellam" and self.sampling == "poisson":
            raise ConfigError("Skellam noise is accounted for without Poisson sampling; use 'discrete-gaussian'")

    def _adapter_holds(self) -> None:
        adapter = self.adapter
        if self.loss == "info-nce" and self.private:
            raise ConfigError(
                "loss 'info-nce' compares the records of a batch with one another, so no record has a gradient of its "
                "own and clipping each bounds nothing; use 'cross-entropy', or setting 'none' for comparison"
            )
        if self.loss == "info-nce" and adapter.kind in ("cachefl", "linear"):
            raise ConfigError(
                f"loss 'info-nce' needs image and class vectors, {adapter.kind!r} has none; use 'cross-entropy'"
            )
        if isinstance(adapter, FloraChoices) and adapter.trained == "alternating" and self.momentum:
            raise ConfigError(
                f"momentum is {self.momentum:g}; factors that are trained in turn mean something else in each round. "
                "Use momentum 0"
            )
        if (self.public == "folder") != (self.public_digest is not None):
            raise ConfigError(
                f"public is {self.public!r}; the digest belongs to a 'folder' of public images, and to it alone"
            )
        if isinstance(adapter, CacheChoices) and self.public == "texts":
            self._keys_of_texts_hold(adapter)

    def _keys_of_texts_hold(self, adapter: CacheChoices) -> None:
        if adapter.keys_per_class > len(self.templates) or adapter.shrinkage is not None:
            raise ConfigError(
                f"keys_per_class is {adapter.keys_per_class} and shrinkage {adapter.shrinkage}; keys that are class "
                f"texts are at most one for each of {len(self.templates)} templates, and nothing of images is known to "
                "whiten with. Use fewer keys, or more templates, and no shrinkage"
            )

    def _target_holds(self) -> None:
        if self.epsilon is None or not 0 < self.epsilon < math.inf:
            raise ConfigError(f"epsilon is {self.epsilon}; it must be positive and finite (4 is a common choice)")
        if not 0 < self.delta < 1:
            raise ConfigError(f"delta is {self.delta}; it must lie between 0 and 1, far below 1 / {self.unit}s")
        if self.delta >= 1 / self.units:
            raise ConfigError(
                f"delta is {self.delta:g}; with {self.units} {self.unit}s it must lie below "
                f"{1 / self.units:.3g}: a mechanism that publishes one whole {self.unit} at random already has "
                f"delta = 1 / {self.unit}s"
            )

    @property
    def private(self) -> bool:
        """Whether the run gives any differential privacy."""
        return self.setting != "none"

    @property
    def unit(self) -> str:
        """What one unit of privacy is."""
        return "client" if self.setting == "client-level" else "record"

    @property
    def units(self) -> int:
        """Public number of units; sums are divided by as many as a step expects."""
        return self.clients if self.unit == "client" else self.expected_records

    @property
    def normaliser(self) -> float:
        """What a step's sum is divided by: the public, expected number of units in it."""
        return self.units * self.sampling_rate

    @property
    def parts(self) -> int:
        """Of a shuffled order."""
        return round(1 / self.sampling_rate)

    @property
    def steps(self) -> int:
        """Steps of one round whose sums leave a client together."""
        return 1 if self.unit == "client" else self.local_steps

    @property
    def queries(self) -> int:
        """How often the run asks each unit at most, not counting that a sample may leave it out."""
        asked = self.rounds * self.steps
        return math.ceil(asked / self.parts) if self.sampling == "shuffled" else asked

    @cached_property
    def ledger_filter(self) -> str:
        """The online filter that a ledger needs for this run; see :mod:`securefed.privacy.filters`."""
        if self.epsilon is None or (self.noise == "discrete-gaussian" and self.sampling != "poisson"):
            return "gaussian"
        if self.noise == "skellam":
            return "renyi"
        best = accounting.best_order(
            epsilon=self.epsilon, delta=self.delta, rounds=self.queries, rate=self.sampling_rate
        )
        return f"renyi-{best}"

    @property
    def cohort(self) -> tuple[str, ...]:
        """Names of the clients."""
        width = len(str(self.clients - 1))
        return tuple(f"client-{i:0{width}d}" for i in range(self.clients))

    @property
    def dim(self) -> int:
        """Length of an update."""
        return self.adapter.dim(len(self.classes), self.feature_dim)

    @property
    def threshold(self) -> int:
        """Clients that must answer for a sum to be opened."""
        return self.clients - self.max_dropouts

    @property
    def honest_shares(self) -> int:
        """Noise shares that even a coalition cannot take away."""
        return self.clients - self.max_dropouts - self.max_colluders
