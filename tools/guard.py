"""Count the instructions of what a private masked round spends its time on, and compare with the counts on record.

    python -m tools.guard [--only NAME] [--record]

Instructions (valgrind's, of which the Debian package is called ``valgrind``) do not depend on what else the machine
does, so a kernel that does more work than before shows even on a busy one. What one repetition takes is the difference
between many and one, divided by their number: start-up and preparation cancel. Exit code 1 if a kernel takes more than
``TOLERANCE`` above its record, 2 without valgrind.

What to do when it fires: see where, with ``valgrind --tool=callgrind python -m tools.kernels NAME 3`` before and after
the change, and ``callgrind_annotate``. If the work is needed (a new check, say), or it comes from another version of a
library, ``--record`` the new count in the same commit and say there what it buys. A count that fell is recorded too, so
that it does not grow back. Counts of other versions of Python or of the libraries are shown, not judged.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from tools.kernels import KERNELS

RECORD = Path(__file__).with_name("instructions.json")

TOLERANCE = 0.05
"""How far a count may lie above its record: memory addresses and hash tables move it by about a hundredth."""

MANY = {"clip": 6, "noise": 6, "pair": 200}
"""Repetitions; five where nothing is said."""

QUIET = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def versions() -> dict[str, str]:
    """Return what a count depends on besides this repository."""
    libraries = {name: version(name) for name in ("cryptography", "numpy", "torch")}
    return {"machine": platform.machine(), "python": platform.python_version(), **libraries}


def count(name: str, module: str = "tools.kernels") -> int:
    """Return how many instructions one repetition of a kernel takes, which a module does as often as it is told."""
    many = MANY.get(name, 5)
    return (_instructions(module, name, 1 + many) - _instructions(module, name, 1)) // many


def judge(found: dict[str, int], kept: dict[str, int]) -> list[str]:
    """Return the kernels that take too many instructions, or of which no count is on record."""
    return [name for name, each in found.items() if each > (1 + TOLERANCE) * kept.get(name, 0)]


def main() -> int:
    """Count, then compare or record."""
    parser = argparse.ArgumentParser(prog="python -m tools.guard", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="NAME", action="append", choices=sorted(KERNELS), help="one kernel")
    parser.add_argument("--record", action="store_true", help="keep the counts instead of comparing them")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("valgrind is not installed; it counts instructions", file=sys.stderr)
        return 2
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {"versions": {}, "instructions": {}}
    kept, found = record["instructions"], {}
    for name in options.only or KERNELS:
        found[name] = count(name)
        print(f"{name:<10} {found[name]:>13,}  {_beside(found[name], kept.get(name))}", flush=True)
    if options.record:
        same = record["versions"] == versions()
        new = {"versions": versions(), "instructions": (kept if same else {}) | found}
        RECORD.write_text(json.dumps(new, indent=2) + "\n", encoding="utf-8")
        return 0
    if record["versions"] != versions():
        print(f"not judged: the record is of {record['versions']}, this is {versions()}")
        return 0
    return _report(judge(found, kept))


def _beside(found: int, kept: int | None) -> str:
    return "not on record" if kept is None else f"{found / kept - 1:+.1%}"


def _report(grown: list[str]) -> int:
    for name in grown:
        print(f"{name} takes more than {TOLERANCE:.0%} above its record; tools/guard.py says what to do")
    return bool(grown)


def _instructions(module: str, name: str, times: int) -> int:
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    done = subprocess.run(  # noqa: S603 - our own module
        [*command, sys.executable, "-m", module, name, str(times)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | QUIET,
    )
    found = re.search(r"I +refs: +([\d,]+)", done.stderr)
    if found is None:
        raise ValueError(f"valgrind did not say how many instructions it counted: {done.stderr[-300:]}")
    return int(found.group(1).replace(",", ""))


if __name__ == "__main__":
    sys.exit(main())
