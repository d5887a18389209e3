"""Data sets: images with labels and domains, and a held-out test split that no choice looks at.

Nothing is ever downloaded. Two families come with the package: ``digits``, the 1,797 real handwritten digits that
scikit-learn bundles, and ``world:DOMAIN[,DOMAIN]``, generated images (:mod:`securefed.data.world`). Three are people's
own: ``folder:PATH`` (:mod:`securefed.data.folders`), ``torchvision:NAME`` (:mod:`securefed.data.named`) and
``huggingface:PATH`` (:mod:`securefed.data.huggingface`); their images are decoded when they are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from securefed.data import world
from securefed.data.images import DataSet, Images
from securefed.data.scene import SIZE
from securefed.data.selection import narrowed
from securefed.data.world import DIGITS, DOMAINS, OBJECTS, PUBLIC_DOMAINS, SPARE_DOMAINS, Labels, Pixels
from securefed.errors import ConfigError, DataError
from securefed.rng import Source, seeded

__all__ = ["DIGITS_HELD_OUT", "ROOT", "WORLD_TEST", "WORLD_TRAIN", "DataSet", "Images", "load", "public_images"]

WORLD_TRAIN = 3200
"""Training images of a generated data set, over all its domains, unless asked otherwise."""

WORLD_TEST = 1200
"""Held-out images of a generated data set, over all its domains."""

ROOT = Path("data")
"""Where data sets on disk are looked for, unless another folder is named: below the working directory."""

_OWN = {"folder": "folder:PATH", "torchvision": "torchvision:NAME", "huggingface": "huggingface:PATH"}

FAMILIES = {"digits": "digits", "world": "world:DOMAIN[,DOMAIN]", **_OWN}
"""How a data set of each family is named."""

_ALL_DOMAINS = (*DOMAINS, *SPARE_DOMAINS)

DIGITS_HELD_OUT = 0.2
"""Share of the real digits that is held out, class by class."""


def load(
    name: str,
    *,
    seed: int,
    records: int | None = None,
    classes: Sequence[str] | None = None,
    root: Path = ROOT,
) -> DataSet:
    """Load a data set.

    Args:
        name: ``digits``, ``world:DOMAIN[,DOMAIN]``, ``folder:PATH``, ``torchvision:NAME`` or ``huggingface:PATH``.
        seed: Of the split, where none was published, and of generated images.
        records: Training images, over all domains; by default 3,200 generated ones or all real ones there are.
        classes: Class names, in the order of their labels; by default the ten digits, the 22 objects, or all there are.
        root: Where paths start and published data sets lie.

    Returns:
        The data set. In a generated one, domains are equally frequent (to within one image), and so are the classes
        within each domain.

    Raises:
        ChoiceError: If a family of data sets, domain or class is unknown.
        ConfigError: If the name is not of its family's form, or a domain or class is named twice.
        DataError: If the files are not there, or there are fewer records than asked for, or fewer than one is.
    """
    if records is not None and records < 1:
        raise DataError(f"records is {records}; a data set has at least one")
    family, _, rest = name.partition(":")
    if name == "digits":
        return _digits(seed, records, _distinct(DIGITS if classes is None else classes, DIGITS))
    if family == "world":
        return _world(name, rest, seed, records, classes)
    if family in _OWN and rest:
        return narrowed(_own(family, rest, name, seed, root), seed=seed, records=records, classes=classes)
    world.check_known(f"family of data set {name!r}", family, FAMILIES)
    raise ConfigError(f"data set {name!r} is not one; write {FAMILIES[family]!r}")


def public_images(
    class_names: Sequence[str], per_class: int, *, domains: Sequence[str] = PUBLIC_DOMAINS, rng: Source
) -> Images:
    """Generate class-balanced images that belong to nobody, such as cache keys are made from.

    Args:
        class_names: Classes of the world.
        per_class: Images of each class, spread evenly over the domains.
        domains: By default the public ones, which no client's data comes from.
        rng: Of the images.

    Returns:
        ``len(class_names) * per_class`` images, grouped by domain.

    Raises:
        ConfigError: If a class or domain is unknown or named twice.
        DataError: If ``per_class`` is below one.
    """
    public_labels(class_names, per_class, domains=domains)
    return _generated(tuple(domains), tuple(class_names), per_class * len(class_names), rng)


def public_labels(class_names: Sequence[str], per_class: int, *, domains: Sequence[str] = PUBLIC_DOMAINS) -> Labels:
    """Return what images of :func:`public_images` show, shape ``(n,)``, without drawing one; raises as that does."""
    if per_class < 1:
        raise DataError(f"per_class is {per_class}; each class needs at least one image")
    return _laid_out(len(domains), len(_distinct(class_names, world.CLASSES)), per_class * len(class_names))[0]


def _world(name: str, domains: str, seed: int, records: int | None, classes: Sequence[str] | None) -> DataSet:
    names = tuple(domain.strip() for domain in domains.split(","))
    chosen = _distinct(OBJECTS if classes is None else classes, world.CLASSES)
    for domain in names:
        world.check_known("domain", domain, _ALL_DOMAINS)
    if len(set(names)) < len(names):
        raise ConfigError(f"data set {name!r} names a domain twice; name each once")
    train = _generated(names, chosen, WORLD_TRAIN if records is None else records, seeded(seed, "world", "train"))
    return DataSet(name, train, _generated(names, chosen, WORLD_TEST, seeded(seed, "world", "test")))


def _own(family: str, rest: str, name: str, seed: int, root: Path) -> DataSet:
    from securefed.data import folders, huggingface, named

    root = root.expanduser()
    if family == "torchvision":
        return named.load(rest, root, name, seed=seed)
    read = folders.load if family == "folder" else huggingface.load
    return read(root / Path(rest).expanduser(), name, seed=seed)


def _distinct(names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        world.check_known("class", name, known)
    if len(set(names)) < len(names) or not names:
        raise ConfigError(f"classes are {', '.join(names) or 'none'}; name at least one, and each once")
    return tuple(names)


def _generated(domains: tuple[str, ...], classes: tuple[str, ...], count: int, rng: Source) -> Images:
    """Draw ``count`` images; classes, domains and pairs of both differ by at most one in how often they occur."""
    labels, domain = _laid_out(len(domains), len(classes), count)
    indices = world.class_indices(classes)[labels]
    pixels = [world.render(name, indices[domain == k], rng=rng) for k, name in enumerate(domains)]
    return Images(np.concatenate(pixels), labels, domain, classes, domains)


def _laid_out(domains: int, classes: int, count: int) -> tuple[Labels, Labels]:
    """Return label and domain of each of ``count`` images, grouped by domain."""
    i = np.arange(count, dtype=np.int64)
    labels, domain = i % classes, (i + i // math.lcm(classes, domains)) % domains
    order = np.lexsort((labels, domain))
    return labels[order], domain[order]


def _digits(seed: int, records: int | None, classes: tuple[str, ...]) -> DataSet:
    from sklearn.model_selection import train_test_split

    pixels, targets = _bundled_digits()
    wanted = [np.flatnonzero(targets == DIGITS.index(name)) for name in classes]
    rows = np.concatenate(wanted)
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(own) for own in wanted])
    images = Images(pixels[rows], labels, np.zeros_like(labels), classes, ("digits",))
    state = int(seeded(seed, "digits").generator().integers(2**31))
    rest, held_out = train_test_split(
        np.arange(len(labels)), test_size=DIGITS_HELD_OUT, stratify=labels, random_state=state
    )
    if records is not None and records > len(rest):
        raise DataError(f"{records} records were asked for; 'digits' has {len(rest)} outside the held-out split")
    return DataSet("digits", images.take(rest[:records]), images.take(held_out))


@lru_cache(maxsize=1)
def _bundled_digits() -> tuple[Pixels, Labels]:
    """Return all pictures of the digits and what they show; read once, since a plan and its run both ask."""
    from sklearn.datasets import load_digits

    bundled = load_digits()
    return _scaled_up(bundled.images), bundled.target


def _scaled_up(images: npt.NDArray[np.float64]) -> Pixels:
    """Return 8 x 8 digits of ink 0 to 16 as RGB: 28 x 28, bicubic, with a black border up to 32 x 32."""
    from PIL import Image

    border = (SIZE - 28) // 2
    pixels = np.zeros((len(images), SIZE, SIZE, 3), np.uint8)
    for i, image in enumerate(images):
        large = Image.fromarray((image / 16 * 255).astype(np.float32)).resize((28, 28), Image.Resampling.BICUBIC)
        inked = np.clip(np.asarray(large), 0, 255).round().astype(np.uint8)
        pixels[i, border:-border, border:-border] = inked[..., None]
    return pixels
