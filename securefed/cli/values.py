"""What an option may be given: for shells that complete it, and for the block that says what is allowed."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

Complete: TypeAlias = Callable[[str], list[str]]
"""From what was typed to what it may become."""

ADAPTERS = ("cachefl", "fedclip", "flora", "linear", "clip-adapter", "prompts")
"""As :data:`securefed.adapter_choices.KINDS`, which takes numpy to read, as the next four."""

SETTINGS = ("distributed", "per-client", "client-level", "none")
SECURE = ("mask", "ckks", "bfv", "plain")
SAMPLING = ("full", "poisson", "shuffled")
NOISE = ("discrete-gaussian", "skellam")

DEVICES = ("cpu", "cuda", "mps", "auto")

PARTITIONS = (
    "iid",
    "dirichlet:",
    "pathological:",
    "domain",
    "domain+dirichlet:",
    "few-shot:",
    "few-shot-overlapping:",
)
"""As :func:`securefed.data.partition.partition` takes them; a number follows each colon."""

TINY = "securefed-tiny"
"""As :data:`securefed.adapters.clip.EMBEDDED`, which takes torch to read."""

MODELS = (TINY, "local-dir:", "ViT-B-32", "ViT-B-16", "ViT-L-14", "RN50")
"""The embedded model, a folder's, and those that papers use most; open_clip knows more."""


def any_of(values: Iterable[str]) -> Complete:
    """Return what completes to one of some values."""
    known = tuple(values)
    return lambda incomplete: [value for value in known if value.startswith(incomplete)]


def listed(values: Iterable[str]) -> str:
    """Return values as a sentence's end, for the help of an option."""
    *first, last = values
    return f"{', '.join(first)} or {last}"


def data_sets(incomplete: str) -> list[str]:
    """Return what the name of a data set may become; domains of the world one behind another."""
    family, colon, rest = incomplete.partition(":")
    if not colon:
        return any_of(("digits", "world:", "folder:", "torchvision:", "huggingface:"))(incomplete)
    if family == "world":
        before, comma, _ = rest.rpartition(",")
        return any_of(f"world:{before}{comma}{domain}" for domain in domains(""))(incomplete)
    if family == "torchvision":
        from securefed.data.named import KINDS

        return any_of(f"torchvision:{kind}" for kind in KINDS)(incomplete)
    return [f"{family}:{folder}" for folder in folders(rest)] if family == "folder" else []


def domains(incomplete: str) -> list[str]:
    """Return the domains of the world."""
    from securefed.data.world import DOMAINS

    return any_of(DOMAINS)(incomplete)


def users(incomplete: str) -> list[str]:
    """Return the names of this machine's users."""
    return any_of(user.pw_name for user in pwd.getpwall())(incomplete)


def folders(incomplete: str) -> list[str]:
    """Return the folders that a path may become."""
    head, tail = os.path.split(incomplete)
    try:
        found = sorted(path for path in Path(head or ".").iterdir() if path.name.startswith(tail) and path.is_dir())
    except OSError:
        return []
    return [f"{head.rstrip('/') + '/' if head else ''}{path.name}/" for path in found if not path.name.startswith(".")]


def run_folders(incomplete: str) -> list[str]:
    """Return the folders of runs that a path may become, and folders on the way to one."""
    found = folders(incomplete)
    runs = [folder.rstrip("/") for folder in found if (Path(folder) / "plan.toml").exists()]
    return runs + [folder for folder in found if folder.rstrip("/") not in runs]
