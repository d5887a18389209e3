"""What it takes to start: the package, and the command line's help, beside an interpreter that does nothing.

Each is a process of its own, timed on the clock from its start to its end, as somebody who waits for it sees it; the
floor is Python's own start. The package is imported without torch; the help says so too.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.timing import ratio

COMMANDS = {
    "nothing": "pass",
    "import_securefed": "import securefed",
    "help": "import sys; sys.argv = ['securefed', '--help']; from securefed.cli import main; main()",
    "import_torch": "import torch",
}


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(2 if quick else 9):
        for name, command in COMMANDS.items():
            seconds[name].append(_seconds(command))
    return {
        "seconds": {name: statistics.median(times) for name, times in seconds.items()},
        "least_seconds": {name: min(times) for name, times in seconds.items()},
        "help_over_nothing": ratio(seconds["help"], seconds["nothing"]),
        "imports_torch": {name: _imports_torch(COMMANDS[name]) for name in ("import_securefed", "help")},
    }


def _seconds(command: str) -> float:
    start = time.perf_counter()
    _python(command)
    return time.perf_counter() - start


def _imports_torch(command: str) -> bool:
    told = "import atexit, sys; atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr)); "
    return _python(told + command).stderr.splitlines()[-1] == "True"


def _python(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)  # noqa: S603
