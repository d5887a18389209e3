"""Weights on disk: where they lie, what they must contain, and what to bring if they are missing.

Nothing is ever downloaded. A tag such as ``openai`` names published weights; their file is looked for in securefed's
own folder and where open_clip and the Hugging Face hub keep what they once fetched.
"""

from __future__ import annotations

import difflib
import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from securefed.errors import ConfigError, DigestError

HOME = Path("~/.cache/securefed/weights")
"""Holds published weights as ``MODEL/TAG.safetensors``."""

LOCAL_DIR = "local-dir:"
"""Marks the name of a model that is a folder with a configuration and weights, as open_clip reads it."""

ENDINGS = (".safetensors", ".bin", ".pth", ".pt")
_IN_FOLDER = ENDINGS[:3]  # open_clip does not look for others there
_PREPROCESS = ("mean", "std", "interpolation", "resize_mode")


@final
@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """A file of weights and what its publisher says about it.

    Attributes:
        file: On disk.
        expected: How its SHA-256 begins, as far as open_clip knows.
        quick_gelu: Whether it was trained with that activation; the same weights with another give other features.
        preprocess: Mean, standard deviation, interpolation and resize mode, where they were published.
        config: A file that belongs to the weights and is pinned with them.
    """

    file: Path
    expected: str = ""
    quick_gelu: bool = False
    preprocess: Mapping[str, Any] | None = None
    config: Path | None = None


def find(name: str, pretrained: str | Path | None) -> Weights:
    """Return the weights of a model.

    Args:
        name: Architecture that open_clip knows, or ``local-dir:FOLDER``.
        pretrained: Path of a checkpoint, or the tag of published weights; None with a folder.

    Raises:
        ConfigError: If there are none; the message says which file to bring, and where to put it.
    """
    if name.startswith(LOCAL_DIR):
        return _in_folder(name, pretrained)
    if pretrained is not None and Path(pretrained).is_file():
        return Weights(_readable(Path(pretrained)))
    if published := _published(name, str(pretrained)):
        return _of_tag(name, str(pretrained), published)
    from open_clip import list_pretrained_tags_by_model

    tags = list_pretrained_tags_by_model(name)
    near = ", ".join(difflib.get_close_matches(str(pretrained), tags, n=3, cutoff=0.0))
    known = f"; tags of published weights that come near are {near}" if near else ""
    raise ConfigError(
        f"weights {str(pretrained)!r} of model {name!r} are no file, and securefed never downloads any; "
        f"name the path of a checkpoint in 'pretrained'{known}"
    )


def digest_of(weights: Weights, pin: str | None) -> str:
    """Return what weights are pinned by, or refuse them before anything parses them.

    It is the SHA-256 of the file. For a folder, whose configuration matters as much, it is that of what
    ``sha256sum open_clip_config.json FILE`` prints there.

    Raises:
        ConfigError: If a file cannot be read.
        DigestError: If it is not what was pinned or published.
    """
    found = sha256(weights.file)
    if not found.startswith(weights.expected):
        raise DigestError(
            f"{weights.file} has SHA-256 {found}, but was published with one that begins with {weights.expected}: it "
            "is damaged or another file. Nothing was loaded from it; fetch it again"
        )
    if weights.config is not None:
        lines = f"{sha256(weights.config)}  {weights.config.name}\n{found}  {weights.file.name}\n"
        found = hashlib.sha256(lines.encode()).hexdigest()
    return checked(weights.file, found, pin)


def checked(path: Path, found: str, pin: str | None) -> str:
    """Return the digest that was found, or refuse it.

    Raises:
        DigestError: If it is not the pinned one.
    """
    if pin is not None and found != pin.lower():
        raise DigestError(
            f"{path} has SHA-256 {found}, but {pin} was pinned: it is damaged or another file. Nothing was loaded "
            "from it; install or fetch it again"
        )
    return found


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, read piece by piece.

    Raises:
        ConfigError: If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def _published(name: str, tag: str) -> dict[str, Any]:
    from open_clip import get_pretrained_cfg

    published: dict[str, Any] = get_pretrained_cfg(name, tag)
    return published


def _of_tag(name: str, tag: str, published: dict[str, Any]) -> Weights:
    for file in _places(name, tag, published):
        if file.is_file():
            url = published.get("url", "")
            return Weights(
                file=_readable(file),
                expected=_expected(url) if file.name == Path(url).name else "",
                quick_gelu=published.get("quick_gelu", False),
                preprocess={key: published[key] for key in _PREPROCESS if key in published},
            )
    raise ConfigError(
        f"weights {tag!r} of model {name!r} are no file, and securefed never downloads any; bring "
        f"{_source(published)} and save it as {HOME.expanduser() / name / tag}.safetensors (or with its own ending, "
        "one of .bin, .pth, .pt), or name its path in 'pretrained'"
    )


def _places(name: str, tag: str, published: dict[str, Any]) -> Iterator[Path]:
    """Yield where the file of a tag may lie, the best place first."""
    from huggingface_hub import try_to_load_from_cache

    for ending in ENDINGS:
        yield HOME.expanduser() / name / f"{tag}{ending}"
    if hub := published.get("hf_hub"):
        for filename in _hub_files(hub):
            cached = try_to_load_from_cache(_repository(hub), filename)
            if isinstance(cached, str):
                yield Path(cached)
    if url := published.get("url"):
        yield Path("~/.cache/clip").expanduser() / Path(url).name


def _repository(hub: str) -> str:
    return hub.rpartition("/")[0]


def _hub_files(hub: str) -> tuple[str, ...]:
    """Return the names of a repository's files of weights, the safest format first."""
    named = hub.rpartition("/")[2]
    return (named,) if named else ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def _source(published: dict[str, Any]) -> str:
    if hub := published.get("hf_hub"):
        return f"{_hub_files(hub)[0]} of https://huggingface.co/{_repository(hub)}"
    return str(published["url"])


def _expected(url: str) -> str:
    """Return how a file's SHA-256 begins, which two publishers write into its address."""
    if "openaipublic" in url:
        return url.split("/")[-2]
    return Path(url).stem.rpartition("-")[2] if "mlfoundations" in url else ""


def _readable(file: Path) -> Path:
    """Refuse an archive that holds code: only tensors are ever read."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            if any("/code/" in entry for entry in archive.namelist()):
                raise ConfigError(
                    f"{file} is a TorchScript archive, which holds code beside weights (OpenAI's original files are "
                    "such); bring the same weights as open_clip_model.safetensors"
                )
    return file


def _in_folder(name: str, pretrained: str | Path | None) -> Weights:
    """Return the one file of weights in a local folder, and its configuration."""
    if pretrained is not None:
        raise ConfigError(f"model {name!r} brings its own weights; leave 'pretrained' {str(pretrained)!r} out")
    folder = Path(name.removeprefix(LOCAL_DIR))
    config = folder / "open_clip_config.json"
    if not config.is_file():
        raise ConfigError(f"model {name!r} needs {config}; it is the file of that name in an open_clip repository")
    files = sorted(file for file in folder.iterdir() if file.suffix in _IN_FOLDER)
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise ConfigError(
            f"{folder} must hold exactly one file of weights ({', '.join(_IN_FOLDER)}); found: {found}. "
            "Keep the .safetensors"
        )
    return Weights(_readable(files[0]), config=config)
