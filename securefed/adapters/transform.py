"""From a picture of any size to what the image tower takes, exactly as ``open_clip`` does it.

The geometry (resizing, cropping, padding) is open_clip's own code on 8-bit pictures, so the features of an image are
those that its published accuracies were measured on; what can be done for a whole batch at once (normalising) is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self, TypeAlias, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from securefed.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

Pixels: TypeAlias = npt.NDArray[np.uint8]
Three: TypeAlias = tuple[float, float, float]

LONGEST = 32
"""How many times as long as high, or as high as long, a picture may be."""


@final
@dataclass(frozen=True, slots=True)
class Transform:
    """How a model's pictures are prepared; published with its weights.

    Attributes:
        size: Height and width that the image tower sees, in pixels.
        mean: Of each channel, subtracted after scaling to ``[0, 1]``.
        std: Of each channel, divided by.
        interpolation: ``bicubic`` or ``bilinear``.
        resize_mode: ``shortest`` (short side to size, then the centre is cut out), ``squash`` (the aspect is lost) or
            ``longest`` (long side to size, then the rest is filled up).
        fill_color: What ``longest`` fills with.
    """

    size: tuple[int, int]
    mean: Three
    std: Three
    interpolation: str
    resize_mode: str
    fill_color: int

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Return the transform that open_clip attached to a model (its ``visual.preprocess_cfg``)."""
        size = values["size"]
        return cls(
            size=(size, size) if isinstance(size, int) else (size[0], size[1]),
            mean=_three(values["mean"]),
            std=_three(values["std"]),
            interpolation=values["interpolation"],
            resize_mode=values["resize_mode"],
            fill_color=values["fill_color"],
        )

    def describe(self) -> dict[str, object]:
        """Return plain values that name this transform and no other."""
        return asdict(self)

    def fit(self, image: Pixels) -> Pixels:
        """Return one picture, RGB, uint8, shape ``(height, width, 3)``, at the size that the tower sees.

        Raises:
            DataError: If it is so long and thin that scaling would leave nothing of it, or take all memory.
        """
        height, width = image.shape[:2]
        if max(height, width) > LONGEST * min(height, width):
            raise DataError(
                f"a picture of {width} x {height} pixels is too long and thin for a model that sees squares; the "
                f"longer side is at most {LONGEST} times the shorter one. Cut it"
            )
        if image.shape[:2] == self.size:
            return image  # resizing to the same size and cropping nothing off changes no pixel
        from PIL import Image

        picture = Image.fromarray(image)
        for step in _geometry(self):
            picture = step(picture)
        return np.array(picture)

    def normalised(self, images: Pixels) -> Tensor:
        """Return fitted pictures, shape ``(n, height, width, 3)``, as float32 of shape ``(n, 3, height, width)``."""
        scaled = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (self.mean, self.std))
        return (scaled - mean) / std


def _three(values: float | tuple[float, ...]) -> Three:
    """Return one value a channel; open_clip also allows one for all."""
    if isinstance(values, (int, float)):
        return (float(values),) * 3
    red, green, blue = values
    return (float(red), float(green), float(blue))


@lru_cache(maxsize=16)
def _geometry(transform: Transform) -> tuple[Callable[[Image.Image], Image.Image], ...]:
    """Return the steps of open_clip's own transform that go from picture to picture."""
    from open_clip.transform import MaybeConvertMode, MaybeToTensor, PreprocessCfg, image_transform_v2
    from torchvision.transforms import Normalize

    whole = image_transform_v2(PreprocessCfg(**asdict(transform)), is_train=False)
    return tuple(s for s in whole.transforms if not isinstance(s, (MaybeConvertMode, MaybeToTensor, Normalize)))
