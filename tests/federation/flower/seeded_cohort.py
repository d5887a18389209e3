"""A simulation's agents whose noise and keys can be repeated: run as a program by tests alone."""

import sys
from pathlib import Path

from securefed.federation import cohort
from tests.federation.parties import repeatable

if __name__ == "__main__":
    cohort.run(Path(sys.argv[1]), Path(sys.argv[2]), rng=repeatable)
