"""One entry for all measurements: ``python -m benchmarks --only NAME [--quick] [--resume] [--json]``.

A measurement is a module of this package with a function ``run(quick: bool) -> dict``. It measures itself and its floor
or peer interleaved, in one process, and returns plain values with the spread beside each figure. Every run that is not
quick has its peers installed at their pins (:mod:`benchmarks.environments`) and is kept in
``benchmarks/results/NAME.json`` as soon as it is done; ``docs/performance.md``, ``docs/results.md`` and
``docs/sizing.md`` are written anew from those files. A suite that was interrupted goes on with ``--resume``, which
leaves out what was measured from the same code.
"""

from __future__ import annotations

import argparse
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

from benchmarks import environments, page, results_page, sizing
from benchmarks.measured import figures, sources

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
OTHER = {
    "__main__",
    "cohort",
    "environments",
    "figures",
    "fitted",
    "floors",
    "flower_simulated",
    "flower_sum",
    "large",
    "measured",
    "needed",
    "page",
    "results_page",
    "sampled",
    "sizing",
    "timing",
}


def names() -> list[str]:
    """Return the measurements there are."""
    return sorted(module.name for module in pkgutil.iter_modules([str(FOLDER)]) if module.name not in OTHER)


def main() -> int:
    """Run the chosen measurements; return 2 for an unknown name, 1 if one of them failed, 0 also if one was skipped."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="NAME", action="append", help=f"one of: {', '.join(names())}")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, few repetitions, what is installed; not kept"
    )
    parser.add_argument("--resume", action="store_true", help="leave out what was measured from the same code")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object and nothing else")
    options = parser.parse_args()
    chosen = options.only or names()
    if unknown := set(chosen) - set(names()):
        print(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(names())}", file=sys.stderr)
        return 2
    if options.resume:
        chosen = [name for name in chosen if not is_kept(name)]
    found = {name: quickly(name) if options.quick else measure(name) for name in chosen}
    if not options.quick:
        page.main()
        results_page.main()
        sizing.main()
    shown = found[chosen[0]] if len(chosen) == 1 else found
    print(json.dumps(shown) if options.json else json.dumps(shown, indent=2))
    return int(any("failed" in each for each in found.values()))


def quickly(name: str) -> dict[str, object]:
    """Measure in this process, beside whatever versions of the peers are installed."""
    return {"environments": "none made: a quick run takes what is installed", **figures(name, quick=True)}


def measure(name: str) -> dict[str, object]:
    """Measure in a fresh process with the pinned peers, and keep the figures; say why if that cannot be.

    The others are measured nevertheless.
    """
    try:
        path = environments.search_path(environments.peers_of(name))
    except subprocess.CalledProcessError as error:
        return _told(name, "skipped", error.stderr.strip().splitlines()[-1])
    try:
        done = _python("-m", "benchmarks.measured", name, path=path)
    except subprocess.CalledProcessError as error:
        return _told(name, "failed", str(error))
    found: dict[str, object] = json.loads(done.splitlines()[-1])
    if "skipped" not in found:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return found


def is_kept(name: str) -> bool:
    """Tell whether the figures of this very code are kept."""
    file = RESULTS / f"{name}.json"
    return file.exists() and json.loads(file.read_text(encoding="utf-8")).get("sources") == sources()


def _told(name: str, outcome: str, reason: str) -> dict[str, object]:
    print(f"{name} {outcome}: {reason}", file=sys.stderr)
    return {"benchmark": name, outcome: reason}


def _python(*arguments: str, path: str) -> str:
    command = [sys.executable, *arguments]
    done = subprocess.run(  # noqa: S603 - our own module
        command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
