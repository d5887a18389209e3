"""The frozen CLIP model: pixels and class names to unit features.

One function, :func:`load`, serves the embedded model and any ``open_clip`` architecture with a checkpoint on disk.
Nothing is ever downloaded, and weights are compared with their pinned SHA-256 before anything parses them.
"""

from __future__ import annotations

import difflib
import hashlib
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from securefed.errors import ConfigError, DataError, DigestError

if TYPE_CHECKING:
    from open_clip.model import CLIP
    from open_clip.tokenizer import SimpleTokenizer

Pixels: TypeAlias = npt.NDArray[np.uint8]

EMBEDDED = "securefed-tiny"
"""Name of the model that comes with the package; ``tools/pretrain.py`` made it."""

_ASSETS = Path(__file__).resolve().parent.parent / "assets"
_PINNED = {
    f"{EMBEDDED}.safetensors": "5d5c6e63cc5227d0b27a525f82a296592ac5f663fa17e4863a7e72da306f571f",
    f"{EMBEDDED}.json": "b2af063c541f531d1cb289b390715b9c11f908d2bb39b9483d0517d226d51b31",
    f"{EMBEDDED}.vocabulary.gz": "25aa420498d3ca9717b402b689ef77e6d8218e633857f9e3022e0cf9298bd141",
}

EMBEDDED_SHA256 = _PINNED[f"{EMBEDDED}.safetensors"]
"""What the weights of the embedded model must be, and the digest that a loaded one reports."""

EMBEDDED_DIM = 128
"""Length of its features."""

TEMPLATES = ("a photo of a {}.",)
"""The prompt that class names are put into, unless others are given."""

_UNFIT = (
    AssertionError,  # open_clip asserts on some shapes
    EOFError,
    KeyError,
    OSError,
    RuntimeError,
    SafetensorError,
    ValueError,
    pickle.UnpicklingError,
)
"""What torch, safetensors and open_clip raise on a file that holds no weights, or those of another model."""

BATCH = 64
"""Images that are encoded together; short batches are filled up."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A frozen CLIP model.

    Guarantees:
        * No parameter takes a gradient and no layer is in training mode.
        * An image's features depend on its pixels, the weights and the number of threads, not on the images beside it:
          every batch has the same shape. Changing one record therefore changes no other record's features, which is
          what per-record clipping relies on.

    Attributes:
        name: Of the architecture.
        digest: SHA-256 of the file of weights, in hexadecimal.
        dim: Length of a feature vector.
        model: In eval mode.
        tokenizer: Of class names and prompts.
    """

    name: str
    digest: str
    dim: int
    model: CLIP = field(repr=False)
    tokenizer: SimpleTokenizer = field(repr=False)

    @property
    def logit_scale(self) -> float:
        """What cosines are multiplied with to become logits (already exponentiated)."""
        return float(self.model.logit_scale.detach().exp())

    @property
    def image_size(self) -> int:
        """Height and width that the image tower sees, in pixels."""
        size = self.model.visual.image_size
        return int(size if isinstance(size, int) else size[0])

    def encode_images(self, pixels: Pixels) -> Tensor:
        """Return unit features, float32, shape ``(n, dim)``.

        Args:
            pixels: RGB, uint8, shape ``(n, height, height, 3)``; other sizes than the model's are scaled.

        Raises:
            DataError: If the array is no such batch of images.
        """
        if pixels.ndim != 4 or pixels.shape[1] != pixels.shape[2] or pixels.shape[3] != 3 or pixels.dtype != np.uint8:
            raise DataError(
                f"images have shape {pixels.shape} and type {pixels.dtype}; square RGB images of type uint8, "
                "shape (n, height, height, 3), are encoded. Crop or convert them first"
            )
        parts = [self._encode(pixels[start : start + BATCH]) for start in range(0, len(pixels), BATCH)]
        return torch.cat(parts) if parts else torch.empty(0, self.dim)

    @torch.inference_mode()
    def _encode(self, pixels: Pixels) -> Tensor:
        filled = np.zeros((BATCH, *pixels.shape[1:]), np.uint8)
        filled[: len(pixels)] = pixels
        return normalize(self.model.encode_image(self.prepared(filled)), dim=1)[: len(pixels)]

    def prepared(self, pixels: Pixels) -> Tensor:
        """Return what the image tower takes: scaled and normalised, float32, shape ``(n, 3, size, size)``."""
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        if images.shape[-1] != self.image_size:
            size = (self.image_size, self.image_size)
            images = interpolate(images, size=size, mode="bicubic", antialias=True).clamp(0, 1)
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (self.model.visual.image_mean, self.model.visual.image_std))
        return (images - mean) / std

    def encode_classes(self, names: Sequence[str], templates: Sequence[str] = TEMPLATES) -> Tensor:
        """Return one unit vector a class, float32, shape ``(classes, dim)``: the mean over the templates.

        Args:
            names: Class names.
            templates: Prompts with a ``{}`` for the name.

        Raises:
            ConfigError: If there is no name or template, a template has no ``{}``, or a prompt is longer than the
                model can read.
        """
        if not names or not templates:
            raise ConfigError(
                f"{len(names)} class names and {len(templates)} templates; at least one of each is needed"
            )
        for template in templates:
            if "{}" not in template:
                raise ConfigError(f"template {template!r} has no {{}} for the class name")
        vectors = [self._encode_texts([template.format(name) for name in names]) for template in templates]
        return normalize(torch.stack(vectors).mean(0), dim=1)

    @torch.inference_mode()
    def _encode_texts(self, texts: Sequence[str]) -> Tensor:
        room = self.model.context_length - 2  # for the marks of start and end
        for text in texts:
            if (length := len(self.tokenizer.encode(text))) > room:
                raise ConfigError(f"{text!r} has {length} tokens, model {self.name!r} reads {room}; use shorter words")
        return normalize(self.model.encode_text(self.tokenizer(list(texts))), dim=1)


def load(name: str = EMBEDDED, *, pretrained: str | Path | None = None, sha256: str | None = None) -> Clip:
    """Load a model from disk.

    Args:
        name: ``securefed-tiny`` or an architecture that open_clip knows.
        pretrained: File of weights; not needed for the embedded model.
        sha256: What the file must contain. The embedded model has its own pin.

    Raises:
        ConfigError: If the name is unknown, or there is no file of weights that fits it.
        DigestError: If the file's content is not what was pinned; nothing has been parsed then.
    """
    import open_clip

    _register()
    dim = _checked_architecture(name)["embed_dim"]
    weights, pin = _weights(name, pretrained)
    digest = _checked_file(weights, sha256 or pin)
    try:
        model = open_clip.create_model(name, pretrained=str(weights))
    except _UNFIT as error:
        raise ConfigError(f"{weights} holds no weights of {name!r}: {error}") from error
    model.eval().requires_grad_(False)
    words = {"bpe_path": str(_ASSETS / f"{EMBEDDED}.vocabulary.gz")} if name == EMBEDDED else {}
    return Clip(name=name, digest=digest, dim=dim, model=model, tokenizer=open_clip.get_tokenizer(name, **words))


def zero_shot(features: Tensor, text: Tensor) -> Tensor:
    """Return the class whose text is nearest, int64, shape ``(n,)``."""
    return (features @ text.T).argmax(dim=1)


def as_tensor(labels: npt.NDArray[np.int64]) -> Tensor:
    """Return labels as a tensor, int64, shape ``(n,)``."""
    return torch.from_numpy(labels.copy())


def _register() -> None:
    """Tell open_clip of the embedded architecture, once its files are known to be the right ones."""
    import open_clip

    for file in (f"{EMBEDDED}.json", f"{EMBEDDED}.vocabulary.gz"):
        _checked_file(_ASSETS / file, _PINNED[file])
    if EMBEDDED not in open_clip.list_models():
        open_clip.add_model_config(_ASSETS / f"{EMBEDDED}.json")


def _checked_architecture(name: str) -> dict[str, Any]:
    import open_clip

    known = open_clip.list_models()
    if name not in known:
        near = ", ".join(difflib.get_close_matches(name, known, n=3, cutoff=0.0))
        raise ConfigError(f"model {name!r} is unknown; did you mean one of {near}? The embedded one is {EMBEDDED!r}")
    config: dict[str, Any] = open_clip.get_model_config(name)
    if "siglip" in name.lower() or {"hf_model_name", "hf_tokenizer_name"} & set(config["text_cfg"]):
        raise ConfigError(
            f"model {name!r} reads text with a tokenizer that would have to be downloaded, and securefed never goes "
            "to the network; use a model with CLIP's own tokenizer, such as ViT-B-32"
        )
    return config


def _weights(name: str, pretrained: str | Path | None) -> tuple[Path, str | None]:
    if pretrained is None and name == EMBEDDED:
        file = f"{EMBEDDED}.safetensors"
        return _ASSETS / file, _PINNED[file]
    if pretrained is None or not Path(pretrained).is_file():
        raise ConfigError(
            f"weights {str(pretrained)!r} of model {name!r} are no file, and securefed never downloads any; "
            "fetch a checkpoint with open_clip first and name its path in 'pretrained'"
        )
    return Path(pretrained), None


def _checked_file(path: Path, pin: str | None) -> str:
    """Return the SHA-256 of a file, or refuse it."""
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if pin is not None and found != pin.lower():
        raise DigestError(
            f"{path} has SHA-256 {found}, but {pin} was pinned: it is damaged or another file. Nothing was loaded "
            "from it; install or fetch it again"
        )
    return found
