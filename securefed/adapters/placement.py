"""Where a model runs, in which precision, and how many images at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch

from securefed.errors import ConfigError


@final
@dataclass(frozen=True, slots=True)
class Placement:
    """A device with the precision and the batch that suit it.

    Attributes:
        device: As torch names it.
        precision: As open_clip names it: ``fp32``, or ``fp16`` where halves are several times as fast.
        batch: Images that are encoded together. Short batches are filled up, so that every one has this shape.
    """

    device: str
    precision: str
    batch: int

    @property
    def dtype(self) -> torch.dtype:
        """Type of the numbers that the towers take."""
        return torch.float16 if self.precision == "fp16" else torch.float32

    def describe(self) -> str:
        """Return what can make the last bits of a feature differ: device, kind of processor, precision and batch."""
        cuda = self.device == "cuda"
        kind = torch.cuda.get_device_name() if cuda else torch.backends.cpu.get_cpu_capability()
        return f"{self.device} {kind} {self.precision} {self.batch}"


PLACEMENTS = {
    "cpu": Placement("cpu", "fp32", 64),
    "cuda": Placement("cuda", "fp16", 512),
    "mps": Placement("mps", "fp32", 128),
}
"""Halves on CUDA, as the OpenAI models were published; full precision where halves save nothing."""

PRESENT: dict[str, Callable[[], bool]] = {
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
    "cpu": lambda: True,
}
"""How to ask for each device, the fastest first."""


def placement(device: str) -> Placement:
    """Return where to run.

    Args:
        device: ``cpu``, ``cuda``, ``mps``, or ``auto`` for the fastest that is there.

    Raises:
        ConfigError: If the device is unknown or absent.
    """
    if device == "auto":
        device = next(name for name, present in PRESENT.items() if present())
    if device not in PLACEMENTS:
        raise ConfigError(f"device {device!r} is unknown; choose 'auto', 'cpu', 'cuda' or 'mps'")
    if not PRESENT[device]():
        raise ConfigError(f"device {device!r} is not on this machine; choose 'auto' or 'cpu'")
    return PLACEMENTS[device]
