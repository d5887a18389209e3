"""Draw docs/figures/masked_round.png from benchmarks/results/masked_round.json: cost of a client against the cohort.

python -m tools.plot_masked_round
"""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Draw the figure."""
    rows = json.loads((ROOT / "benchmarks/results/masked_round.json").read_text(encoding="utf-8"))["sparse"]
    clients = [row["clients"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    left.plot(clients, [row["neighbours"] for row in rows], "o-")
    left.set(xscale="log", ylim=(0, None), xlabel="clients (log scale)", ylabel="neighbours of a client")
    right.plot(clients, [row["bytes_beside_the_vector"] / 1000 for row in rows], "o-", label="kB beside the vector")
    right.plot(clients, [row["milliseconds_a_client"] for row in rows], "s--", label="ms, both ends")
    right.set(xscale="log", ylim=(0, None), xlabel="clients (log scale)", ylabel="for one client")
    right.legend(frameon=False)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    target = ROOT / "docs/figures/masked_round.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=120)


if __name__ == "__main__":
    main()
