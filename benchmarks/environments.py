"""An environment for each peer: the pinned version of its package, installed by the suite before it is measured.

What a measurement compares with is read off its imports. Every peer gets a virtual environment of its own below
``build/``, holding that one package at its pin; what the package needs (numpy, torch, cryptography) is that of the
environment which the suite runs in, so that both sides of a ratio compute with the same libraries.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent

ENVIRONMENTS = FOLDER.parent / "build" / "peers"

PINS = {
    "dp_accounting": "dp-accounting==0.6.0",
    "flwr": "flwr==1.41.0",
    "opacus": "opacus==1.6.0",
    "tenseal": "tenseal==0.3.18",
}
"""The package of each peer, by the name that it is imported by."""


def peers_of(name: str) -> tuple[str, ...]:
    """Return which peers a measurement imports, itself or by other modules of the suite; sorted."""
    found: set[str] = set()
    waiting, seen = [name], set[str]()
    while waiting:
        module = waiting.pop()
        seen.add(module)
        for imported in _imports(FOLDER / f"{module}.py"):
            first, _, rest = imported.partition(".")
            if first in PINS:
                found.add(first)
            if first == "benchmarks" and rest and rest not in seen:
                waiting.append(rest)
    return tuple(sorted(found))


def search_path(peers: Iterable[str]) -> str:
    """Return a ``PYTHONPATH`` on which the pinned peers come first, each installed if it was not.

    Raises:
        subprocess.CalledProcessError: If a peer cannot be installed, without a network for example.
    """
    here = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join([*(str(_environment(peer)) for peer in peers), str(FOLDER.parent), *filter(None, here)])


def _environment(peer: str) -> Path:
    """Return where a peer's package lies in its own environment, which is made if there is none."""
    pin = PINS[peer]
    folder = ENVIRONMENTS / pin.replace("==", "-")
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    if not (packages / peer).exists():
        _run("-m", "venv", "--clear", "--without-pip", str(folder))
        _run("-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet", "--no-deps", pin)
    return packages


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True)  # noqa: S603


def _imports(file: Path) -> list[str]:
    """Return the dotted names that a file imports."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [
                node.module,
                *(f"{node.module}.{alias.name}" for alias in node.names if node.module == "benchmarks"),
            ]
    return found
