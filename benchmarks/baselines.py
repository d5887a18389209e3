"""What training without privacy reaches beside adapters: all of CLIP, and prompts, as their papers train them.

Work: the task of :mod:`benchmarks.seeds` (same records, held-out images and left-out domains, five seeds), one local
epoch of Adam a round on all of CLIP from pixels (FedAvg; FedProx with its pull towards the round's start), and
PromptFL's own recipe on features; five rounds each. There is no privacy, no secure sum and no bound on a record here.
Learning rates were chosen by held-out accuracy on the domains that hyper-parameters are chosen on, with one seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.seeds import CLASSES, CLIENTS, RECORDS, SEEDS, Scene, among, spread
from securefed.adapters import clip
from securefed.adapters.base import top1
from securefed.adapters.cosine import CosineModel
from securefed.adapters.finetune import FullModel
from securefed.adapters.prompts import Prompts
from securefed.adapters.published import PROMPTFL, Recipe, Trainer, averaged_round
from securefed.adapters.through_text import ThroughText
from securefed.data import datasets, partition
from securefed.data.images import Images
from securefed.rng import seeded

ROUNDS = 5
TUNING = "world:relief,thermal,mosaic,stipple"
FULL = Recipe(learning_rate=1e-5, batch=32)
RECIPES: Mapping[str, Recipe] = {"fedavg": FULL, "fedprox": replace(FULL, proximal=0.01), "promptfl": PROMPTFL}
RATES = {"fedavg": (2e-6, 1e-5, 5e-5), "fedprox": (2e-6, 1e-5, 5e-5), "promptfl": (1e-3, 1e-2, 1e-1)}
CELLS = (("fedavg", "iid"), ("promptfl", "iid"), ("fedavg", "domain"), ("fedprox", "domain"), ("promptfl", "domain"))


def run(quick: bool) -> dict[str, object]:
    """Choose learning rates, train, and return all figures."""
    torch.set_num_threads(1)
    model = clip.load()
    rates = {method: RATES[method][1] if quick else _chosen(model, method) for method in RECIPES}
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(1 if quick else SEEDS):
        scene = Scene.load(model, seed)
        real = datasets.load("digits", seed=seed)
        tests = {
            "seen": scene.loaded.data.test,
            "unseen": scene.loaded.unseen or scene.loaded.data.test,
            "real": among(real.train.joined(real.test)),
        }
        found.setdefault("zero-shot", []).append({name: _zero_shot(model, images) for name, images in tests.items()})
        for method, spec in CELLS[:2] if quick else CELLS:
            recipe = replace(RECIPES[method], learning_rate=rates[method])
            train, rounds = scene.loaded.data.train, 1 if quick else ROUNDS
            trained = _trained(model, method, recipe, train, spec=spec, seed=seed, rounds=rounds)
            accuracies = {name: _accuracy(model, trained, images) for name, images in tests.items()}
            found.setdefault(f"{method} | {spec}", []).append(accuracies)
    return {
        "rounds": ROUNDS,
        "clients": CLIENTS,
        "records": RECORDS,
        "rates": rates,
        "tried": RATES,
        "figures": {name: _figures(each) for name, each in found.items()},
    }


def _chosen(model: clip.Clip, method: str) -> float:
    """Return the learning rate with the best held-out accuracy on the tuning domains."""
    data = datasets.load(TUNING, seed=0, records=400, classes=CLASSES)
    scores = {}
    for rate in RATES[method]:
        recipe = replace(RECIPES[method], learning_rate=rate)
        scores[rate] = _accuracy(model, _trained(model, method, recipe, data.train, spec="iid", seed=0), data.test)
    return max(scores, key=lambda rate: scores[rate])


def _trained(
    model: clip.Clip, method: str, recipe: Recipe, train: Images, *, spec: str, seed: int, rounds: int = ROUNDS
) -> CosineModel:
    current: CosineModel = (
        ThroughText.over(Prompts.from_words(model, CLASSES)) if method == "promptfl" else FullModel.of(model, CLASSES)
    )
    parts = partition.partition(spec, train, CLIENTS, rng=seeded(seed, "partition"))
    trainers = []
    for place, part in enumerate(parts):
        inputs, labels = _inputs(model, current, np.asarray(train.pixels)[part]), clip.as_tensor(train.labels[part])
        trainers.append(Trainer(recipe, inputs, labels, rng=seeded(seed, f"batches of {place}")))
    for _ in range(rounds):
        current = averaged_round(current, trainers, weighted=recipe.weighted)
    return current


def _inputs(model: clip.Clip, trained: CosineModel, pixels: Any) -> Tensor:
    """Return what a model reads: pixels as its image tower takes them, or features."""
    return model.prepared(pixels) if isinstance(trained, FullModel) else model.encode_images(pixels).double()


def _accuracy(model: clip.Clip, trained: CosineModel, images: Images) -> float:
    parameters, right = torch.from_numpy(trained.vector()), 0
    pixels, labels = np.asarray(images.pixels), clip.as_tensor(images.labels)
    with torch.no_grad():
        for start in range(0, len(labels), 256):
            few = slice(start, start + 256)
            encoded, texts = trained.pair(parameters, _inputs(model, trained, pixels[few]))
            right += int(((encoded @ texts.T).argmax(dim=1) == labels[few]).sum())
    return right / len(labels)


def _zero_shot(model: clip.Clip, images: Images) -> float:
    features = model.encode_images(np.asarray(images.pixels)).double()
    return top1(features @ model.encode_classes(CLASSES).double().T, clip.as_tensor(images.labels))


def _figures(each: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    return {place: spread([one[place] for one in each]) for place in each[0]}
