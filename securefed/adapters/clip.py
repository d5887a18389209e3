"""The frozen CLIP model: pixels and class names to unit features.

One function, :func:`load`, serves the embedded model and any ``open_clip`` architecture with weights on disk: published
ones by their tag, a checkpoint, or a folder. Nothing is ever downloaded, and weights are compared with their pinned
SHA-256 before anything parses them.
"""

from __future__ import annotations

import difflib
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.nn.functional import normalize

from securefed.adapters import weights
from securefed.adapters.pictures import Pictures
from securefed.adapters.placement import PLACEMENTS, Placement, placement
from securefed.adapters.transform import Pixels, Transform
from securefed.adapters.weights import LOCAL_DIR, Weights
from securefed.errors import ConfigError, DataError

if TYPE_CHECKING:
    from open_clip.model import CLIP
    from open_clip.tokenizer import SimpleTokenizer

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

BATCH = PLACEMENTS["cpu"].batch
"""Images that are encoded together on a CPU; short batches are filled up."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A frozen CLIP model.

    Guarantees:
        * No parameter takes a gradient and no layer is in training mode.
        * An image's features depend on its pixels, the weights and the machine, not on the images beside it: every
          batch has the same shape. Changing one record therefore changes no other record's features, which is what
          per-record clipping relies on.

    Attributes:
        name: Of the architecture, or ``local-dir:FOLDER``.
        digest: Of the weights, in hexadecimal: see :func:`securefed.adapters.weights.digest_of`.
        dim: Length of a feature vector.
        model: In eval mode.
        tokenizer: Of class names and prompts.
        transform: How pictures are prepared.
        placement: Where it runs.
    """

    name: str
    digest: str
    dim: int
    model: CLIP = field(repr=False)
    tokenizer: SimpleTokenizer = field(repr=False)
    transform: Transform
    placement: Placement

    @property
    def logit_scale(self) -> float:
        """What cosines are multiplied with to become logits (already exponentiated)."""
        return float(self.model.logit_scale.detach().exp())

    @property
    def image_size(self) -> int:
        """Height and width that the image tower sees, in pixels."""
        return self.transform.size[0]

    def encode_images(self, images: Pixels | Pictures) -> Tensor:
        """Return unit features, float32, shape ``(n, dim)``.

        :func:`securefed.adapters.features.encode` returns the same, decodes with several threads, shows progress and
        keeps what it encoded.

        Args:
            images: RGB, uint8, shape ``(n, height, width, 3)``, or pictures that are decoded batch by batch; other
                sizes than the model's are scaled and cropped as open_clip does.

        Raises:
            DataError: If the array is no such batch of images, or a picture cannot be decoded.
        """
        if isinstance(images, np.ndarray):
            _check(images)
        step = self.placement.batch
        parts = [self.encode_fitted(self._batch(images, i, i + step)) for i in range(0, len(images), step)]
        return torch.cat(parts) if parts else torch.empty(0, self.dim)

    def _batch(self, images: Pixels | Pictures, start: int, stop: int) -> Pixels:
        if isinstance(images, np.ndarray):
            return self._fitted(images[start:stop])
        stop = min(stop, len(images))
        return np.stack([self.transform.fit(images[i].decode()) for i in range(start, stop)])

    @torch.inference_mode()
    def encode_fitted(self, pixels: Pixels) -> Tensor:
        """Return unit features, float32 on the CPU, of at most one batch of pictures that have the model's size.

        Args:
            pixels: RGB, uint8, shape ``(n, *transform.size, 3)`` with ``n`` up to ``placement.batch``.
        """
        filled = np.zeros((self.placement.batch, *pixels.shape[1:]), np.uint8)
        filled[: len(pixels)] = pixels
        images = self.transform.normalised(filled).to(self.placement.device, self.placement.dtype)
        return normalize(self.model.encode_image(images).float(), dim=1)[: len(pixels)].cpu()

    def prepared(self, pixels: Pixels) -> Tensor:
        """Return what the image tower takes: scaled and normalised, float32, shape ``(n, 3, size, size)``."""
        return self.transform.normalised(self._fitted(pixels))

    def _fitted(self, pixels: Pixels) -> Pixels:
        """Return pictures of one size at the size of the model, shape ``(n, *transform.size, 3)``."""
        if pixels.shape[1:3] == self.transform.size:
            return pixels
        return np.stack([self.transform.fit(image) for image in pixels])

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
        tokens = self.tokenizer(list(texts)).to(self.placement.device)
        return normalize(self.model.encode_text(tokens).float(), dim=1).cpu()


def load(
    name: str = EMBEDDED, *, pretrained: str | Path | None = None, sha256: str | None = None, device: str = "cpu"
) -> Clip:
    """Load a model from disk.

    Args:
        name: ``securefed-tiny``, an architecture that open_clip knows, or ``local-dir:FOLDER``.
        pretrained: File of weights, or the tag of published ones (``openai``) whose file is on this machine; not
            needed for the embedded model or a folder.
        sha256: What the weights must be. The embedded model has its own pin.
        device: ``cpu``, ``cuda``, ``mps`` or ``auto``; see :mod:`securefed.adapters.placement`.

    Raises:
        ConfigError: If the name is unknown, or there is no file of weights that fits it.
        DigestError: If the file's content is not what was pinned; nothing has been parsed then.
    """
    import open_clip

    _register()
    place = placement(device)
    dim = _checked_architecture(name)["embed_dim"]
    if pretrained is None and name == EMBEDDED:
        found, pin = Weights(_ASSETS / f"{EMBEDDED}.safetensors"), _PINNED[f"{EMBEDDED}.safetensors"]
    else:
        found, pin = weights.find(name, pretrained), None
    digest = weights.digest_of(found, sha256 or pin)
    model = _built(name, found, place)
    words = {"bpe_path": str(_ASSETS / f"{EMBEDDED}.vocabulary.gz")} if name == EMBEDDED else {}
    return Clip(
        name=name,
        digest=digest,
        dim=dim,
        model=model,
        tokenizer=open_clip.get_tokenizer(name, **words),
        transform=Transform.read(model.visual.preprocess_cfg),
        placement=place,
    )


def _built(name: str, found: Weights, place: Placement) -> CLIP:
    """Return the frozen model; with the activation and the transform that its weights were published with."""
    import open_clip

    try:
        model = open_clip.create_model(
            name,
            pretrained=None if name.startswith(LOCAL_DIR) else str(found.file),
            precision=place.precision,
            device=place.device,
            force_quick_gelu=found.quick_gelu,
            force_preprocess_cfg=dict(found.preprocess or {}),
            require_pretrained=True,
        )
    except _UNFIT as error:
        raise ConfigError(f"{found.file} holds no weights of {name!r}: {error}") from error
    return model.eval().requires_grad_(False)


def zero_shot(features: Tensor, text: Tensor) -> Tensor:
    """Return the class whose text is nearest, int64, shape ``(n,)``."""
    return (features @ text.T).argmax(dim=1)


def as_tensor(labels: npt.NDArray[np.int64]) -> Tensor:
    """Return labels as a tensor, int64, shape ``(n,)``."""
    return torch.from_numpy(labels.copy())


def _check(pixels: Pixels) -> None:
    """Refuse an array that is no batch of images."""
    if pixels.ndim != 4 or pixels.shape[3] != 3 or 0 in pixels.shape[1:3] or pixels.dtype != np.uint8:
        raise DataError(
            f"images have shape {pixels.shape} and type {pixels.dtype}; RGB images of type uint8, "
            "shape (n, height, width, 3), are encoded. Convert them first"
        )


def _register() -> None:
    """Tell open_clip of the embedded architecture, once its files are known to be the right ones."""
    import open_clip

    for file in (f"{EMBEDDED}.json", f"{EMBEDDED}.vocabulary.gz"):
        weights.checked(_ASSETS / file, weights.sha256(_ASSETS / file), _PINNED[file])
    if EMBEDDED not in open_clip.list_models():
        open_clip.add_model_config(_ASSETS / f"{EMBEDDED}.json")


def _checked_architecture(name: str) -> dict[str, Any]:
    config = _configuration(name)
    if "siglip" in name.lower() or {"hf_model_name", "hf_tokenizer_name"} & set(config["text_cfg"]):
        raise ConfigError(
            f"model {name!r} reads text with a tokenizer that would have to be downloaded, and securefed never goes "
            "to the network; use a model with CLIP's own tokenizer, such as ViT-B-32"
        )
    return config


def _configuration(name: str) -> dict[str, Any]:
    """Return open_clip's description of an architecture."""
    import open_clip

    known = open_clip.list_models()
    if not name.startswith(LOCAL_DIR) and name not in known:
        near = ", ".join(difflib.get_close_matches(name, known, n=3, cutoff=0.0))
        raise ConfigError(f"model {name!r} is unknown; did you mean one of {near}? The embedded one is {EMBEDDED!r}")
    try:
        config: dict[str, Any] = open_clip.get_model_config(name)
        _ = config["text_cfg"], config["embed_dim"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(f"model {name!r} has no open_clip_config.json that can be read: {error}") from error
    return config
