"""One entry for all measurements: ``python -m benchmarks --only NAME [--quick] [--json]``.

A measurement is a module of this package with a function ``run(quick: bool) -> dict``. It measures itself and its floor
or peer interleaved, in one process, and returns plain values with the spread beside each figure. Every run that is not
quick is kept in ``benchmarks/results/NAME.json``; ``docs/performance.md`` and ``docs/results.md`` are written anew from
those files.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import platform
import sys
from pathlib import Path

from benchmarks import page, results_page

FOLDER = Path(__file__).parent
OTHER = {"__main__", "cohort", "figures", "flower_sum", "page", "results_page", "timing"}


def names() -> list[str]:
    """Return the measurements there are."""
    return sorted(module.name for module in pkgutil.iter_modules([str(FOLDER)]) if module.name not in OTHER)


def main() -> int:
    """Run the chosen measurements; return 2 for an unknown name."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="NAME", action="append", help=f"one of: {', '.join(names())}")
    parser.add_argument("--quick", action="store_true", help="small sizes, few repetitions; not kept")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object and nothing else")
    options = parser.parse_args()
    chosen = options.only or names()
    if unknown := set(chosen) - set(names()):
        print(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(names())}", file=sys.stderr)
        return 2
    figures = {name: measure(name, quick=options.quick) for name in chosen}
    if not options.quick:
        page.main()
        results_page.main()
    shown = figures[chosen[0]] if len(chosen) == 1 else figures
    print(json.dumps(shown) if options.json else json.dumps(shown, indent=2))
    return 0


def measure(name: str, *, quick: bool) -> dict[str, object]:
    """Run one measurement, and keep its figures unless it was quick."""
    figures: dict[str, object] = {
        "benchmark": name,
        "quick": quick,
        "machine": {"processor": platform.machine(), "system": platform.system(), "python": platform.python_version()},
        **importlib.import_module(f"benchmarks.{name}").run(quick),
    }
    if not quick:
        results = FOLDER / "results"
        results.mkdir(exist_ok=True)
        (results / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return figures


if __name__ == "__main__":
    sys.exit(main())
