"""The page of results says what was measured, all of it and nothing else."""

import itertools
import json
from pathlib import Path

from benchmarks import results_page, seeds

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def test_the_page_is_made_from_the_kept_figures():
    assert results_page.PAGE.read_text(encoding="utf-8") == results_page.page()


def test_no_cell_of_the_grid_is_missing_and_each_has_every_seed():
    cells = json.loads((RESULTS / "seeds_cells.json").read_text())
    grid = itertools.product(seeds.METHODS, seeds.PARTITIONS, seeds.PRIVACY, range(seeds.SEEDS))

    assert cells.keys() >= {" | ".join(map(str, place)) for place in grid}


def test_the_kept_figures_are_those_of_the_cells():
    cells = json.loads((RESULTS / "seeds_cells.json").read_text())
    kept = json.loads((RESULTS / "seeds.json").read_text())["figures"]

    assert kept == seeds.figures(cells)
