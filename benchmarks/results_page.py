"""Write docs/results.md from the measurements of the systems: accuracies, costs, and what the papers claim.

python -m benchmarks.results_page
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import seeds

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "results.md"

HEAD = """# Results: the three systems side by side

Made by `python -m benchmarks.results_page` from `benchmarks/results/*.json`; `python -m benchmarks --only seeds`
measures anew what is missing there.

Eight clients, 1,200 generated training images of twelve objects and the ten digits in three of the domains sketch,
painting, neon and chalk, the embedded model, five seeds; the fourth domain is left out, each in its turn. Full batches,
δ = 1e-5, two dropouts and one colluder tolerated. Hyper-parameters follow from the level of noise and were chosen on
other generated domains (relief, thermal, mosaic, stipple) by `python -m tools.choose`
(`benchmarks/results/*_choices.json`), with other images of the same kinds of classes; held-out images were looked at
once, at the end of each run. What the task is was settled after a look at one seed: digits alone left almost nothing to
gain over zero-shot.

A cell is the mean accuracy over the seeds, in brackets the gain over zero-shot in points: its mean and standard
deviation over the seeds, each seed compared with zero-shot on the same images. `ε = 8 .. 1` are the distributed
setting, the last column is the per-client setting, in which every message is private by itself. A linear probe stands
in every table beside zero-shot.
"""

PLACES = {
    "seen": ("Held-out images of the domains that clients hold", "What federated training is for."),
    "unseen": ("A domain that nobody trained on", "All images of the domain that the seed leaves out."),
    "real": (
        "The real handwritten digits, which nobody trained on",
        "Among all 22 classes. Runs that train on them are in the README's table (`benchmarks/main_job.py`).",
    ),
}
COLUMNS = {
    "none": "no privacy",
    "distributed 8": "ε = 8",
    "distributed 4": "ε = 4",
    "distributed 2": "ε = 2",
    "distributed 1": "ε = 1",
    "per-client 4": "ε = 4, per client",
}
PARTITIONS = {
    "iid": "IID",
    "dirichlet:0.5": "Dirichlet 0.5",
    "dirichlet:0.1": "Dirichlet 0.1",
    "domain": "a domain a client",
}
NAMES = {
    "cachefl": "CacheFL",
    "fedclip": "FedCLIP",
    "flora": "FLoRA",
    "linear": "linear probe",
    "clip-adapter": "CLIP-Adapter",
}

BASELINES = {
    "zero-shot": "zero-shot",
    "fedavg": "FedAvg, all of CLIP",
    "fedprox": "FedProx, all of CLIP",
    "promptfl": "PromptFL",
}

READING = """## How to read these tables

Without local steps, a round adds up the clipped gradients of all records, whoever holds them: partitions change nothing
but the order of rounding, and client drift, which they are known for, does not arise. What still differs between them
is chance: the noise is drawn anew for every cell. There are about 55 images a class, so what can be learned is little;
on images that nobody trained for, most gains are smaller than their standard deviation, and some adapters lose.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Return the page."""
    found = _read("seeds")
    parts = [HEAD, *(_accuracies(found["figures"], place) for place in PLACES), READING]
    parts += [_baselines(_read("baselines")), _costs(found["cost"]), _full(_read("finetuning_cost"))]
    return "\n".join([*parts, _claims(found["figures"])])


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))
    return content


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _accuracies(figures: Mapping[str, Any], place: str) -> str:
    zero = figures["zero-shot"][place]
    rows = [["zero-shot", "any", f"{zero['mean']:.3f} ± {zero['stdev']:.3f}", *[""] * (len(COLUMNS) - 1)]]
    for spec, partition in PARTITIONS.items():
        for method in seeds.METHODS:
            cells = [_cell(figures[f"{method} | {spec} | {privacy}"][place], zero) for privacy in COLUMNS]
            rows.append([NAMES[method], partition, *cells])
    title, what = PLACES[place]
    return f"## {title}\n\n{what}\n\n" + _table(["adapter", "partition", *COLUMNS.values()], rows)


def _baselines(found: Mapping[str, Any]) -> str:
    figures, rates = found["figures"], found["rates"]
    rows = []
    for key in figures:
        method, _, spec = key.partition(" | ")
        cells = [_cell(figures[key][place], figures["zero-shot"][place]) for place in PLACES]
        rows.append([BASELINES[method], PARTITIONS.get(spec, "any"), *cells])
    tried = found["tried"]
    chosen = "\n".join(f"* {BASELINES[name]}: {rate:g} of {tried[name]}" for name, rate in rates.items())
    text = f"""## All of CLIP, and prompts, without privacy

The same task, trained as papers train: {found["rounds"]} rounds of local epochs, from pixels where all of CLIP is
trained (`benchmarks/baselines.py`). FedProx pulls with weight 0.01. Learning rates were chosen on the domains that
hyper-parameters are chosen on:

{chosen}

"""
    return text + _table(["method", "partition", "seen domains", "left-out domain", "real digits"], rows)


def _cell(found: Mapping[str, Any], zero: Mapping[str, Any]) -> str:
    gains = [100 * (each - own) for each, own in zip(found["each"], zero["each"], strict=True)]
    return f"{found['mean']:.3f} ({statistics.mean(gains):+.1f} ± {statistics.stdev(gains):.1f})"


def _costs(cost: Mapping[str, Any]) -> str:
    rows = [[NAMES[method], *_cost(figures)] for method, figures in cost.items()]
    sizes, seconds = ["trained", "sent", "bytes up", "bytes down"], ["train, s", "noise, s", "secure sum, s"]
    text = """## What a round costs

One masked round of eight clients at ε = 4 with 400 records and ten classes, each adapter in a process of its own:
numbers that are trained in the end and numbers that travel, bytes of one client in all phases of the secure sum (four
for each number that it sends; all else is keys, shares and signatures), seconds of all clients and the server together,
and the process's largest memory, most of which is torch, open_clip and the model. The next adapter comes down beside
that, as many numbers as were sent. FLoRA's clients send gradients of the class texts.

"""
    return text + _table(["adapter", *sizes, *seconds, "memory, MB"], rows)


def _cost(figures: Mapping[str, Any]) -> Iterator[str]:
    yield f"{figures['parameters']:,}"
    yield f"{figures['travelling']:,}"
    yield f"{figures['bytes_per_client']['answer']:,.0f}"
    yield f"{figures['bytes_per_client']['request']:,.0f}"
    for stage in ("train", "noise", "secure sum"):
        yield f"{figures['seconds'][stage]:.3f}"
    yield f"{figures['peak_memory_bytes'] / 1e6:,.0f}"


def _full(found: Mapping[str, Any]) -> str:
    text = """## Full fine-tuning over adapters

One client's local epoch on 400 images, all of CLIP against each adapter (`benchmarks/finetuning_cost.py`): how many
times as much full fine-tuning takes. The FedCLIP abstract claims 283 times in time, the FLoRA abstract up to 34.72
times in time and 2.47 in memory; how either was counted was not seen, and their models are larger than this one.

"""
    columns = {
        "parameters": "parameters",
        "seconds_from_pixels": "seconds, from pixels",
        "seconds_from_features": "seconds, features encoded once",
        "peak_memory": "memory",
    }
    names = {"fedclip": "FedCLIP", "flora": "FLoRA", "promptfl": "PromptFL"}
    rows = [
        [names[kind], *(f"{ratios[column]:,.1f} ×" for column in columns)]
        for kind, ratios in found["full_over"].items()
    ]
    return text + _table(["adapter", *columns.values()], rows)


def _claims(figures: Mapping[str, Any]) -> str:
    rows = [_about_zero_shot(figures), _order(figures), _averages(_read("flora_averaging"))]
    text = """## What was claimed elsewhere, and whether it appears here

Only claims whose figures were seen. CacheFL's paper was seen as an abstract without figures.

"""
    return text + _table(["claim", "there", "here", "appears"], rows)


def _about_zero_shot(figures: Mapping[str, Any]) -> list[str]:
    gain = 100 * (figures["fedclip | domain | none"]["unseen"]["mean"] - figures["zero-shot"]["unseen"]["mean"])
    return [
        "FedCLIP is about zero-shot plus little on a domain that is left out",
        "70.41 → 71.03, mean of five data sets (a third party's summary)",
        f"{gain:+.1f} points without privacy",
        "yes" if 0 <= gain < 3 else "no: about zero-shot, and no gain" if abs(gain) < 3 else "no",
    ]


def _order(figures: Mapping[str, Any]) -> list[str]:
    reached = {
        name: figures[f"{name} | dirichlet:0.1 | none"]["seen"]["mean"] for name in ("flora", "cachefl", "fedclip")
    }
    same = reached["flora"] > reached["cachefl"] > reached["fedclip"]
    return [
        "FLoRA before a cache before FedCLIP, Dirichlet 0.1, no privacy",
        "72.64, 70.81 (Tip-Adapter-F), 69.33, mean of ten data sets (NormFit)",
        ", ".join(f"{NAMES[name]} {value:.3f}" for name, value in reached.items()),
        "yes" if same else "no",
    ]


def _averages(found: Mapping[str, Any]) -> list[str]:
    reached = {way: found[f"published, {way}"]["accuracy"]["mean"] for way in ("separate", "b", "alternating")}
    apart = 100 * (max(reached.values()) - min(reached.values()))
    return [
        "Averaging A and B one by one is hardly worse than exact ways, in vision",
        "85.22 against 85.14 and 85.15, mean of four data sets (FedLAFP)",
        f"separate {reached['separate']:.3f}, B alone {reached['b']:.3f}, in turn {reached['alternating']:.3f}",
        "yes" if apart < 0.5 else "no",
    ]


if __name__ == "__main__":
    main()
