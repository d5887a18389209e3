"""An agent whose noise and keys can be repeated: run as a program by the deployment tests alone."""

import sys
from pathlib import Path

from securefed.federation import process
from securefed.rng import seeded


def repeatable(purpose, number, client):
    return seeded(11, purpose, number, client)


if __name__ == "__main__":
    process.run(Path(sys.argv[1]), Path(sys.argv[2]), rng=repeatable)
