"""Play the published scorecard, count the kill rate, and write SECURITY.md from both.

    python -m tools.security --seed 1000

Everything goes to ``benchmarks/results`` (``scorecard.json``, ``.md`` and ``.html``, ``kill_rate.json``) and to
``SECURITY.md``. Five seeds from the given one are played; what was interrupted goes on where it was. Exit code 1 if a
claim does not hold, a control does not succeed or a mutant survives; the files say which.
"""

from __future__ import annotations

import argparse
import sys
from typing import get_args

from securefed.reports.attacks import to_page
from securefed.threat_models import folder, security
from securefed.threat_models.game import Profile
from securefed.threat_models.markdown import command
from securefed.threat_models.pictures import pictures
from securefed.threat_models.scorecard import exit_code, scorecard
from tools import kill_rate


def main() -> int:
    """Make all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True, help="The first; one that was not looked at before.")
    parser.add_argument("--profile", choices=get_args(Profile), default="full")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    parts = folder.begin(security.RESULTS)
    card = scorecard(
        options.profile,
        seed=options.seed,
        processes=options.processes,
        parts=parts,
        on_part=lambda played: print(played.part, flush=True),
    )
    folder.finish(card, security.RESULTS, to_page(card, pictures(options.seed), command=command(card)))
    survived = kill_rate.publish(security.RESULTS / "kill_rate.json")
    security.write(security.RESULTS, security.PAGE)
    return int(survived or exit_code(card))


if __name__ == "__main__":
    sys.exit(main())
