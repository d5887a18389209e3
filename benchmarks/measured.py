"""One measurement in a process of its own: ``python -m benchmarks.measured NAME [--quick]`` prints its figures as JSON.

The suite starts it with the peers' own environments first on its path; alone, it measures what is installed.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from benchmarks.environments import PINS, peers_of
from benchmarks.timing import busy, empty_loops

ROOT = Path(__file__).parents[1]


def figures(name: str, *, quick: bool) -> dict[str, object]:
    """Run one measurement; return its figures, and what they were measured on and with."""
    before = empty_loops()
    found = importlib.import_module(f"benchmarks.{name}").run(quick)
    machine = {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "busy": busy(before, empty_loops()),
    }
    peers = {peer: version(PINS[peer].partition("==")[0]) for peer in peers_of(name)}
    return {"benchmark": name, "quick": quick, "machine": machine, "peers": peers, "sources": sources(), **found}


def sources() -> str:
    """Return the SHA-256 of all code that figures come from: figures of the same one need not be measured again."""
    files = sorted([*ROOT.glob("securefed/**/*.py"), *ROOT.glob("benchmarks/*.py")])
    parts = (f"{file.relative_to(ROOT)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n" for file in files)
    return hashlib.sha256("".join(parts).encode()).hexdigest()


if __name__ == "__main__":
    print(json.dumps(figures(sys.argv[1], quick="--quick" in sys.argv[2:])))
