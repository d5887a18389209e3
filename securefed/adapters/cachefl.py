"""CacheFL: a cache of class-balanced keys beside CLIP's own logits (Yi et al. 2025, arXiv:2505.05130).

With unit features ``f`` (n, dim), unit class texts ``T`` (classes, dim), keys ``K`` (keys, dim) and one-hot values
``V`` (keys, classes), the logits are those of Tip-Adapter-F (Zhang et al. 2022, arXiv:2111.03930, Eq. 5 and 6)::

    A      = exp(-beta (1 - g(f) K^T))                 affinity, (n, keys)
    logits = scale f T^T + alpha A V                   (n, classes)

Only ``K`` is trained. The keys start from images that a generator drew for each class, never from a client's images.
``g`` is a fixed public map of features to unit vectors, estimated on generated images (:class:`Whitening`): CLIP's
image features crowd into a narrow cone, in which all affinities are alike; without the map, ``g(f) = f``.

The gradient of one record's cross-entropy with respect to ``K`` is an outer product,

    a_i g(f_i)^T   with   a_i = alpha beta A_i * ((softmax(logits_i) - y_i) V^T),

so its norm is ``|a_i|`` (``g`` gives unit vectors) and a clipped sum over records is one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from securefed.adapters.base import Adapter, OuterProducts, fitting, softmax_error
from securefed.encoding import Vector
from securefed.errors import ConfigError


@final
@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """A public affine map of features, followed by scaling to unit length.

    Attributes:
        mean: Shape ``(dim,)``.
        matrix: Shape ``(dim, dim)``.
    """

    mean: Tensor
    matrix: Tensor

    @classmethod
    def fit(cls, features: Tensor, labels: Tensor, *, shrinkage: float) -> Whitening:
        """Estimate the map from public features: whiten what varies inside a class.

        Args:
            features: Features of generated images, shape ``(n, dim)``.
            labels: Their classes, shape ``(n,)``; the mean of each class is removed before the covariance is taken.
            shrinkage: Share of the mean variance that is added to every direction, in ``(0, 1]``.

        Raises:
            ConfigError: If ``shrinkage`` is outside ``(0, 1]``.
        """
        if not 0 < shrinkage <= 1:
            raise ConfigError(f"shrinkage is {shrinkage}; it must lie above 0 and not above 1")
        features = features.double()
        centred = torch.cat([group - group.mean(0) for group in (features[labels == c] for c in labels.unique())])
        covariance = centred.T @ centred / len(centred)
        dim = covariance.shape[0]
        floor = shrinkage * covariance.trace() / dim * torch.eye(dim, dtype=torch.float64)
        values, vectors = torch.linalg.eigh((1 - shrinkage) * covariance + floor)
        return cls(mean=features.mean(0), matrix=vectors @ torch.diag(values.rsqrt()) @ vectors.T)

    def __call__(self, features: Tensor) -> Tensor:
        """Return unit vectors, shape ``(n, dim)``."""
        mapped = (features - self.mean) @ self.matrix
        # As functional.normalize, whose wrappers take as long as the work on a small batch.
        return mapped / torch.linalg.vector_norm(mapped, dim=1, keepdim=True).clamp_min(1e-12)


@final
@dataclass(frozen=True, slots=True, eq=False)
class CacheFL(Adapter):
    """The cache adapter; see the module's text for the equations.

    Attributes:
        keys: Trainable, shape ``(keys, dim)``; class by class, of every class equally many.
        text: Unit class texts, shape ``(classes, dim)``.
        scale: CLIP's logit scale (already exponentiated).
        alpha: Weight of the cache beside CLIP's logits.
        beta: Sharpness of the affinity.
        whitening: The public map ``g``, or None for the identity.
        provenance: ``"public"`` when the keys were generated.
    """

    keys: Tensor
    text: Tensor
    scale: float
    alpha: float
    beta: float
    whitening: Whitening | None
    provenance: str

    def __post_init__(self) -> None:
        """Refuse keys that cannot be told apart by classes."""
        if len(self.keys) % len(self.text):
            raise ConfigError(
                f"there are {len(self.keys)} keys for {len(self.text)} classes; give every class equally many"
            )

    @classmethod
    def from_generated(
        cls,
        features: Tensor,
        labels: Tensor,
        *,
        text: Tensor,
        scale: float,
        alpha: float,
        beta: float,
        keys_per_class: int,
        shrinkage: float | None,
    ) -> CacheFL:
        """Build the initial cache from features of generated images.

        Each key is the mean of an equal share of its class's generated features, scaled to unit length.

        Args:
            features: Features of generated images, shape ``(n, dim)``; class-balanced.
            labels: Their classes, shape ``(n,)``.
            text: Unit class texts, shape ``(classes, dim)``.
            scale: CLIP's logit scale.
            alpha: Weight of the cache.
            beta: Sharpness of the affinity.
            keys_per_class: Keys of each class.
            shrinkage: Of :meth:`Whitening.fit`, or None for no whitening.

        Raises:
            ConfigError: If ``alpha``, ``beta`` or ``keys_per_class`` is not positive, or a class has fewer generated
                images than keys.
        """
        for name, value in (("alpha", alpha), ("beta", beta), ("keys_per_class", keys_per_class)):
            if not value > 0:
                raise ConfigError(f"{name} is {value}; it must be positive")
        whitening = None if shrinkage is None else Whitening.fit(features, labels, shrinkage=shrinkage)
        mapped = features.double() if whitening is None else whitening(features.double())
        classes = len(text)
        keys = []
        for c in range(classes):
            own = mapped[labels == c]
            if len(own) < keys_per_class:
                raise ConfigError(f"class {c} has {len(own)} generated images, {keys_per_class} keys need as many")
            keys += [part.mean(0) for part in own.tensor_split(keys_per_class)]
        return cls(
            keys=torch.nn.functional.normalize(torch.stack(keys), dim=1),
            text=text.double(),
            scale=scale,
            alpha=alpha,
            beta=beta,
            whitening=whitening,
            provenance="public",
        )

    @property
    def values(self) -> Tensor:
        """Classes of the keys, one-hot, shape ``(keys, classes)``."""
        return torch.eye(len(self.text), dtype=torch.float64).repeat_interleave(self._keys_per_class, dim=0)

    def logits(self, features: Tensor) -> Tensor:
        """Return class scores, shape ``(n, classes)``."""
        features = features.double()
        return self._scores(features, self._affinity(self._mapped(features)))

    def record_gradients(self, features: Tensor, labels: Tensor) -> OuterProducts:
        """Return each record's gradient with respect to the keys, as outer products."""
        features = features.double()
        mapped = self._mapped(features)
        affinity = self._affinity(mapped)
        error = softmax_error(self._scores(features, affinity), labels)
        # One-hot values are read off, here and in the scores; multiplied out, they cost the square of the classes.
        # The affinity is made anew for every batch and becomes the left factor in place.
        affinity.mul_(self.alpha * self.beta)
        self._by_class(affinity).mul_(error[:, :, None])
        return OuterProducts(left=affinity, right=mapped)

    def vector(self) -> Vector:
        """Return the keys, row by row."""
        return self.keys.reshape(-1).numpy().copy()

    @property
    def size(self) -> int:
        """Length of :meth:`vector`, which is a copy of all keys."""
        return self.keys.numel()

    @property
    def chunk(self) -> int:
        """How many records' gradients are made at one time: affinities and what is made of them are there together."""
        return fitting(4 * self.keys.shape[0])

    def moved_to(self, vector: Vector) -> Self:
        """Return the same adapter with other keys."""
        return replace(self, keys=torch.from_numpy(vector.copy()).reshape(self.keys.shape))

    def zero_shot(self, features: Tensor) -> Tensor:
        """Return CLIP's own class scores, shape ``(n, classes)``."""
        return self.scale * features.double() @ self.text.T

    def tensors(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return keys, values, texts, the public map and the three constants."""
        constants = np.array([self.scale, self.alpha, self.beta])
        tensors = {"keys": self.keys, "values": self.values, "text": self.text}
        if self.whitening is not None:
            tensors |= {"whitening.mean": self.whitening.mean, "whitening.matrix": self.whitening.matrix}
        return {name: tensor.numpy() for name, tensor in tensors.items()} | {"scale_alpha_beta": constants}

    @property
    def _keys_per_class(self) -> int:
        return self.keys.shape[0] // self.text.shape[0]

    def _mapped(self, features: Tensor) -> Tensor:
        return features if self.whitening is None else self.whitening(features)

    def _affinity(self, mapped: Tensor) -> Tensor:
        return (mapped @ self.keys.T).sub_(1).mul_(self.beta).exp_()

    def _scores(self, features: Tensor, affinity: Tensor) -> Tensor:
        return self.zero_shot(features) + self.alpha * self._by_class(affinity).sum(2)

    def _by_class(self, affinity: Tensor) -> Tensor:
        return affinity.view(-1, self.text.shape[0], self._keys_per_class)
