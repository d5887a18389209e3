"""What every adapter is: a small trainable part on frozen features, with per-record gradients in factored form.

Arithmetic is float64 throughout. A float32 matrix product may round one record's gradient differently when another
record joins the batch, and a thousand such roundings would exceed the slack that the declared sensitivity has for
them (:meth:`securefed.encoding.FixedPoint.sensitivity`); in float64 they stay eight orders of magnitude below it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from securefed.encoding import Vector

CHUNK = 4096
"""Largest number of records whose gradients are made at one time."""

NUMBERS = 2**25
"""Numbers that they may take meanwhile: 256 MB."""


class RecordGradients(ABC):
    """The gradients of a batch of records, one a record, without writing them out.

    ``n`` gradients of ``dim`` coordinates would take ``8 n dim`` bytes; the factors take a small part of that, and
    norms and weighted sums, which are all that clipping needs, follow from them exactly.
    """

    @abstractmethod
    def norms(self) -> Tensor:
        """Return the L2 norm of every record's gradient, shape ``(n,)``."""

    @abstractmethod
    def weighted_sum(self, weights: Tensor) -> Tensor:
        """Return ``sum_i weights[i] * gradient_i``, shape ``(dim,)``.

        A record of weight zero contributes exactly nothing, even if its gradient is not finite.
        """

    @abstractmethod
    def dense(self) -> Tensor:
        """Return all gradients written out, shape ``(n, dim)``: for tests and small cases."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class OuterProducts(RecordGradients):
    """Gradients of a matrix that each record meets through one outer product ``left_i right_i^T``.

    Attributes:
        left: Shape ``(n, rows)``.
        right: Shape ``(n, columns)``.
    """

    left: Tensor
    right: Tensor

    def norms(self) -> Tensor:
        """Return ``|left_i| |right_i|``: the Frobenius norm of an outer product."""
        left, right = self.left.numpy(), self.right.numpy()
        # Dot products of rows take a fraction of the time of vector_norm. What is not finite shows in the norm.
        with np.errstate(over="ignore", invalid="ignore"):
            return torch.from_numpy(np.sqrt(np.vecdot(left, left)) * np.sqrt(np.vecdot(right, right)))

    def weighted_sum(self, weights: Tensor) -> Tensor:
        """Return the sum as one matrix product, flattened row by row."""
        if np.count_nonzero(weights.numpy()) == weights.shape[0]:
            return ((self.left.T * weights) @ self.right).reshape(-1)
        used = weights != 0
        return OuterProducts(self.left[used], self.right[used]).weighted_sum(weights[used])

    def dense(self) -> Tensor:
        """Return all outer products, flattened row by row."""
        return torch.einsum("nr,nc->nrc", self.left, self.right).reshape(len(self.left), -1)


@final
@dataclass(frozen=True, slots=True, eq=False)
class SideBySide(RecordGradients):
    """Gradients of several tensors that one vector holds one after the other.

    Attributes:
        parts: The gradients with respect to each tensor, of the same records.
    """

    parts: tuple[RecordGradients, ...]

    def norms(self) -> Tensor:
        """Return the norm of each record's whole gradient: the root of the parts' summed squares."""
        return torch.linalg.vector_norm(torch.stack([part.norms() for part in self.parts]), dim=0)

    def weighted_sum(self, weights: Tensor) -> Tensor:
        """Return the parts' sums, one after the other."""
        return torch.cat([part.weighted_sum(weights) for part in self.parts])

    def dense(self) -> Tensor:
        """Return the parts' gradients, one after the other."""
        return torch.cat([part.dense() for part in self.parts], dim=1)


class Adapter(ABC):
    """A small trainable part on frozen features.

    Instances are values: :meth:`moved_to` returns a new one. Everything that is not in :meth:`vector` is public and
    fixed for the whole run.

    Attributes:
        provenance: Where the initial parameters came from. Only ``"public"`` may be trained under privacy: keys made
            from a client's images are that client's images, whatever noise is added afterwards.
    """

    provenance: str

    @abstractmethod
    def logits(self, features: Tensor) -> Tensor:
        """Return class scores, shape ``(n, classes)``, of features, shape ``(n, feature_dim)``."""

    @abstractmethod
    def record_gradients(self, features: Tensor, labels: Tensor) -> RecordGradients:
        """Return each record's gradient of the cross-entropy with respect to :meth:`vector`."""

    @abstractmethod
    def vector(self) -> Vector:
        """Return the trainable parameters, float64, shape ``(dim,)``."""

    @property
    def size(self) -> int:
        """Length of :meth:`vector`."""
        return len(self.vector())

    @property
    def chunk(self) -> int:
        """How many records' gradients are made at one time; fewer where they would not fit into memory."""
        return CHUNK

    @abstractmethod
    def moved_to(self, vector: Vector) -> Self:
        """Return the same adapter with other trainable parameters."""

    @abstractmethod
    def zero_shot(self, features: Tensor) -> Tensor:
        """Return the class scores of the frozen model alone, shape ``(n, classes)``."""

    @abstractmethod
    def tensors(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return everything that is needed to use the adapter, by name, for a safetensors file."""

    def settled(self) -> Self:
        """Return what the server makes of the adapter once a round has moved it, from public values only.

        By default the adapter itself. It is post-processing: it sees no record and costs no privacy.
        """
        return self

    def released(self) -> Self:
        """Return what the server makes of the adapter after the last round, from public values only.

        By default the adapter itself; as :meth:`settled`, it costs no privacy.
        """
        return self

    def kept(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return what the server has to keep of the adapter between rounds: its vector, unless an adapter has more."""
        return {"vector": self.vector()}

    def restored(self, kept: Mapping[str, npt.NDArray[np.float64]]) -> Self:
        """Return the adapter that :meth:`kept` was asked of, given the one that the run began with."""
        return self.moved_to(kept["vector"])

    def accuracy(self, features: Tensor, labels: Tensor) -> float:
        """Return the share of records whose largest logit is their label."""
        return top1(self.logits(features), labels)


def fitting(numbers: int) -> int:
    """Return how many records' gradients to make at one time if each of them takes so many numbers."""
    return max(min(CHUNK, NUMBERS // numbers), 1)


def softmax_error(scores: Tensor, labels: Tensor) -> Tensor:
    """Return ``softmax(scores) - onehot(labels)``: the gradient of each record's cross-entropy, shape of ``scores``."""
    error = torch.softmax(scores, dim=1)
    own = labels[:, None]
    return error.scatter_add_(1, own, error.new_full(own.shape, -1.0))


def top1(scores: Tensor, labels: Tensor) -> float:
    """Return the share of rows of ``scores`` whose largest entry is at their label."""
    return float((scores.argmax(dim=1) == labels).double().mean())
