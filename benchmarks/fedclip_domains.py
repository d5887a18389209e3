"""FedCLIP's own protocol on generated domains: personalised and generalised accuracy, each domain left out in turn.

Work: the embedded model, twelve objects in four domains (sketch, painting, neon, chalk), 300 images each; three domains
are clients, the fourth nobody trains on; 60, 20 and 20 per cent of a client's images for training, for the choice of
the round and for its test (:mod:`securefed.adapters.protocol`). ``published`` is the papers' released recipe, 50 rounds
of one local epoch; ``cross-entropy`` changes its loss, ``long steps`` its learning rate as well, a hundredfold.
No step was chosen by looking at these data. ``zero_shot`` is the initial adapter on the same records: nearly CLIP's own
accuracy, as its attention starts almost even over the channels.
"""

from __future__ import annotations

import functools
import statistics
from dataclasses import replace

import torch

from securefed.adapters import clip
from securefed.adapters.fedclip import FedCLIP
from securefed.adapters.protocol import Domain, Outcome, Records, leave_one_out
from securefed.adapters.published import FEDCLIP, Recipe
from securefed.data import datasets
from securefed.data.world import OBJECTS
from securefed.rng import seeded

DOMAINS, CLASSES, EACH = ("sketch", "painting", "neon", "chalk"), OBJECTS[:12], 300
ENTROPY = replace(FEDCLIP, loss="cross-entropy")
RECIPES = {
    "zero_shot": (FEDCLIP, 0),
    "published": (FEDCLIP, 50),
    "cross-entropy": (ENTROPY, 50),
    "long steps": (replace(ENTROPY, learning_rate=100 * FEDCLIP.learning_rate), 50),
}


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    torch.set_num_threads(1)
    model = clip.load()
    seeds = range(1 if quick else 3)
    figures: dict[str, object] = {"domains": DOMAINS, "records_of_each": EACH}
    for name, (recipe, rounds) in RECIPES.items():
        figures[name] = _protocol(model, recipe, rounds=1 if quick and rounds else rounds, seeds=seeds)
    return figures


def _protocol(model: clip.Clip, recipe: Recipe, *, rounds: int, seeds: range) -> dict[str, object]:
    """Return both accuracies by the domain that is left out, over the seeds, and their means over domains."""
    by_domain = {left: [_left_out(model, left, recipe, rounds=rounds, seed=seed) for seed in seeds] for left in DOMAINS}
    rows = {
        left: {
            "personalised": _spread([statistics.fmean(each.personalised) for each in found]),
            "generalised": _spread([each.generalised for each in found]),
            "rounds": [each.round for each in found],
        }
        for left, found in by_domain.items()
    }
    every = list(by_domain.values())
    return {
        "left_out": rows,
        "personalised": statistics.fmean(statistics.fmean(each.personalised) for found in every for each in found),
        "generalised": statistics.fmean(each.generalised for found in every for each in found),
    }


def _left_out(model: clip.Clip, left: str, recipe: Recipe, *, rounds: int, seed: int) -> Outcome:
    start = FedCLIP.drawn(text=model.encode_classes(CLASSES), scale=model.logit_scale, rng=seeded(seed, "layers"))
    records = {domain: _records(model, domain, seed) for domain in DOMAINS}
    unseen = records.pop(left)
    seen = [Domain.split(*each, rng=seeded(seed, domain)) for domain, each in records.items()]
    return leave_one_out(start, seen, unseen, recipe=recipe, rounds=rounds, rng=seeded(seed, "batches"))


@functools.cache
def _records(model: clip.Clip, domain: str, seed: int) -> Records:
    images = datasets.load(f"world:{domain}", seed=seed, records=EACH, classes=CLASSES).train
    return model.encode_images(images.pixels).double(), clip.as_tensor(images.labels)


def _spread(values: list[float]) -> dict[str, object]:
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "stdev": deviation, "each": values}
