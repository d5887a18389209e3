"""What FLoRA's server averages, without privacy: both factors one by one as published, one of them, or in turn.

Work: eight clients, classes parted by Dirichlet shares of 0.1, twelve objects in four domains, the embedded model; one
local epoch a round as published, with cross-entropy instead, and with that and steps a hundred times as long: how much
the servers differ depends on how far clients move between two averages. ``separate`` averages ``A`` beside ``B``,
``b`` trains ``B`` alone, ``alternating`` one after the other, with an optimiser that forgets between rounds, as its
factors change. ``averaging_error`` is how far the product of the averaged factors is from the average of the products,
relative to it: first round and last.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any

import torch

from securefed.adapters import clip, flora
from securefed.adapters.averaging import mean
from securefed.adapters.flora import LowRankText
from securefed.adapters.lora import averaging_error
from securefed.adapters.published import FLORA, Recipe, Trainer
from securefed.adapters.text_tower import TextTower
from securefed.adapters.through_text import Trained
from securefed.data import datasets, partition
from securefed.data.world import OBJECTS
from securefed.rng import seeded

DATA, CLASSES, CLIENTS, SHARES = "world:sketch,painting,neon,chalk", OBJECTS[:12], 8, "dirichlet:0.1"
SERVERS: dict[str, Trained] = {"separate": "both", "b": "b", "alternating": "alternating"}
ENTROPY = replace(FLORA, loss="cross-entropy")
RECIPES = {
    "published": FLORA,
    "cross-entropy": ENTROPY,
    "long steps": replace(ENTROPY, learning_rate=100 * FLORA.learning_rate),
}


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    torch.set_num_threads(1)
    model = clip.load()
    seeds, rounds, records = (range(1), 2, 320) if quick else (range(3), 30, 1600)
    figures: dict[str, object] = {"clients": CLIENTS, "partition": SHARES, "rounds": rounds, "records": records}
    for steps, published in RECIPES.items():
        for name, trained in SERVERS.items():
            recipe = replace(published, keep_moments=trained != "alternating")
            runs = [_run(model, recipe, trained, seed=seed, rounds=rounds, records=records) for seed in seeds]
            figures[f"{steps}, {name}"] = {key: _spread([each[key] for each in runs]) for key in runs[0]}
    return figures


def _run(
    model: clip.Clip, recipe: Recipe, trained: Trained, *, seed: int, rounds: int, records: int
) -> dict[str, float]:
    data = datasets.load(DATA, seed=seed, records=records, classes=CLASSES)
    features, labels = model.encode_images(data.train.pixels).double(), clip.as_tensor(data.train.labels)
    test = model.encode_images(data.test.pixels).double(), clip.as_tensor(data.test.labels)
    parts = partition.partition(SHARES, data.train, CLIENTS, rng=seeded(seed, "partition"))
    clients = [Trainer(recipe, features[own], labels[own], rng=seeded(seed, i)) for i, own in enumerate(parts)]
    text = LowRankText.drawn(TextTower.of(model, CLASSES, clip.TEMPLATES), rng=seeded(seed, "factors"))
    adapter = flora.exact(text, trained=trained)
    zero_shot = adapter.accuracy(*test)
    errors = []
    for _ in range(rounds):
        vectors = [client.trained(adapter) for client in clients]
        errors.append(averaging_error(text.lora, [adapter.moved_to(vector).parameters for vector in vectors]))
        adapter = adapter.moved_to(mean(vectors, [len(client) for client in clients])).settled()
    return {
        "zero_shot": zero_shot,
        "accuracy": adapter.accuracy(*test),
        "averaging_error_first": errors[0],
        "averaging_error_last": errors[-1],
    }


def _spread(values: list[float]) -> dict[str, Any]:
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.mean(values), "stdev": deviation, "each": values}
