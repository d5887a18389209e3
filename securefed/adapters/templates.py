"""Prompts for class names, by data set: the single ones of CoOp and the ensembles of CLIP.

Sources: Radford et al. 2021 (arXiv:2103.00020, the prompts published with the code) and Zhou et al. 2022
(arXiv:2109.01134). An ensemble's class vector is the normalised mean over its prompts
(:meth:`securefed.adapters.clip.Clip.encode_classes`).
"""

from __future__ import annotations

PLAIN = "a photo of a {}."
"""Where nothing better was published."""

SINGLE = {
    "torchvision:CIFAR10": PLAIN,
    "torchvision:CIFAR100": PLAIN,
    "torchvision:Caltech101": PLAIN,
    "torchvision:DTD": "{} texture.",
    "torchvision:EuroSAT": "a centered satellite photo of {}.",
    "torchvision:FGVCAircraft": "a photo of a {}, a type of aircraft.",
    "torchvision:Flowers102": "a photo of a {}, a type of flower.",
    "torchvision:Food101": "a photo of {}, a type of food.",
    "torchvision:OxfordIIITPet": "a photo of a {}, a type of pet.",
    "torchvision:SUN397": PLAIN,
    "torchvision:StanfordCars": PLAIN,
}
"""One prompt a data set."""

SEVEN = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)
"""Seven of CLIP's eighty ImageNet prompts, which its authors chose for the mean: for things of every kind and style."""

_SEEN = ("", "blurry ", "black and white ", "low contrast ", "high contrast ", "bad ", "good ")
_TINY = tuple(f"a {seen}photo of {article} {{}}." for article in ("a", "the") for seen in _SEEN)
_SIZED = tuple(f"a photo of {article} {size} {{}}." for article in ("a", "the") for size in ("small", "big"))

ENSEMBLE = {
    "torchvision:CIFAR10": (*_TINY, *_SIZED),
    "torchvision:CIFAR100": (*_TINY, *_SIZED),
    "torchvision:Caltech101": SEVEN,
    "torchvision:DTD": tuple(
        f"a photo of {article} {{}} {kind}."
        for article in ("a", "the")
        for kind in ("texture", "pattern", "thing", "object")
    ),
    "torchvision:EuroSAT": tuple(f"a centered satellite photo of {article}{{}}." for article in ("", "a ", "the ")),
    "torchvision:FGVCAircraft": ("a photo of a {}, a type of aircraft.", "a photo of the {}, a type of aircraft."),
    "torchvision:SUN397": (PLAIN, "a photo of the {}."),
    "torchvision:StanfordCars": (
        PLAIN,
        "a photo of the {}.",
        "a photo of my {}.",
        "i love my {}!",
        *(f"a photo of my {state} {{}}." for state in ("dirty", "clean", "new", "old")),
    ),
}
"""Several prompts a data set, where CLIP's authors used several; of Caltech's 34, the seven of ImageNet do instead."""


def single(data: str) -> tuple[str, ...]:
    """Return the one prompt that fits a data set's class names.

    Args:
        data: Name of the data set, as :func:`securefed.data.datasets.load` takes it.
    """
    return (SINGLE.get(data, PLAIN),)


def ensemble(data: str) -> tuple[str, ...]:
    """Return the prompts whose mean fits a data set's class names best; one if only one was published.

    Args:
        data: As in :func:`single`. For data sets of people's own, the seven of ImageNet.
    """
    if data in SINGLE:
        return ENSEMBLE.get(data, (SINGLE[data],))
    return SEVEN
