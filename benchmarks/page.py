"""Write docs/performance.md from the measurements: what each one does, its figures, and whether its goals are met.

    python -m benchmarks.page

The text of a section is the measurement's own docstring. A figure that its file does not hold yet is left out.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from benchmarks import figures

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"

HEAD = """# Performance

Made by `python -m benchmarks.page` from `benchmarks/results/*.json`; `python -m benchmarks` measures all of it anew.
Seconds are processor seconds of one thread unless something else is said. Ratios compare work that was done by turns in
one process; in brackets are the quartiles over the repetitions. A floor is what nobody can avoid: the keystream, the
random bits, the products alone.

These are figures of a virtual machine with two cores, whose host has other guests. Under a table stands how busy it
was, where that was noted: the median time of an empty loop over the least. At 2, everything took about twice as long as
on a machine of one's own; ratios bear that, seconds do not.
"""


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One figure of a measurement.

    Attributes:
        what: What it is.
        path: Where it lies in the file.
        unit: What it is in.
        most: It should be at most this.
        least: It should be at least this.
    """

    what: str
    path: str
    unit: str = "×"
    most: float | None = None
    least: float | None = None

    def line(self, found: Mapping[str, Any]) -> str | None:
        """Return the row of the table, or None without a figure."""
        try:
            value = _at(found, self.path)
        except (KeyError, IndexError):
            return None
        return f"| {self.what} | {_shown(value)} {self.unit} | {self._goal(_number(value))} |"

    def _goal(self, value: float) -> str:
        if self.most is not None:
            return f"at most {_digits(self.most)}: {'met' if value <= self.most else 'not met'}"
        if self.least is not None:
            return f"at least {_digits(self.least)}: {'met' if value >= self.least else 'not met'}"
        return ""


def stages(who: str, run: str, names: Mapping[str, str]) -> list[Row]:
    """Return a row for each stage of a run, under the name that a reader knows it by."""
    return [Row(f"{who}, {what}", f"{run}.stages.{stage}", "s") for stage, what in names.items()]


SECTIONS: dict[str, list[Row]] = {
    "mask_client": [
        Row("Ours, 10 neighbours", "neighbours_10.milliseconds.ours", "ms"),
        Row("Keystreams by counter mode and additions alone", "neighbours_10.milliseconds.floor", "ms"),
        Row("Keystreams by our mode and additions alone", "neighbours_10.milliseconds.fastest_floor", "ms"),
        Row("Flower SecAgg+", "neighbours_10.milliseconds.flower", "ms"),
        Row("Ours over the floor, 10 neighbours", "neighbours_10.ratio_to_floor_spread", most=1.3),
        Row("Ours over the floor, 99 neighbours", "complete_graph_of_100.ratio_to_floor_spread", most=1.3),
        Row("The hash of the packed vector alone, BLAKE3", "neighbours_10.milliseconds.hash", "ms"),
        Row("The same by SHA-256", "neighbours_10.milliseconds.sha256", "ms"),
        Row("Ours over keystreams, additions, hash and agreements, 10 neighbours", "neighbours_10.over_all_needed"),
        Row("Ours over the faster floor, 99 neighbours", "complete_graph_of_100.ratio_to_fastest_floor"),
        Row("Flower over ours, 10 neighbours", "neighbours_10.speedup_over_flower_spread"),
        Row("Flower over ours, 99 neighbours", "complete_graph_of_100.speedup_over_flower_spread"),
    ],
    "shamir": [
        Row("Sharing two secrets among 100", "clients.100.milliseconds.share", "ms", most=5.0),
        Row("Rebuilding one of them", "clients.100.milliseconds.rebuild", "ms", most=5.0),
        Row("Rebuilding over its products alone", "clients.100.ratio_to_floor_of_rebuilding"),
        Row("Flower over ours, sharing among 100", "clients.100.speedup_of_sharing"),
        Row("Flower over ours, rebuilding from 100", "clients.100.speedup_of_rebuilding_a_seed"),
    ],
    "masked_round": [
        Row("100 clients of 100,000 coordinates, on the clock", "hundred_clients.clock_seconds", "s"),
        Row(
            "100 clients of 1,000,000 coordinates, on the clock",
            "hundred_clients_of_a_million.clock_seconds",
            "s",
            most=8.0,
        ),
        Row("The same, work of all threads", "hundred_clients_of_a_million.seconds", "s"),
        Row("Its keystreams, exchanges and plain sum alone", "hundred_clients_of_a_million.floor_seconds", "s"),
        Row("The whole over that floor", "hundred_clients_of_a_million.ratio_to_floor"),
        Row("Masked over plain, 100,000 coordinates", "hundred_clients.ratio_to_plain"),
    ],
    "deals": [
        Row("A round of 100 clients, keys dealt for it", "cohorts.2.alone.seconds", "s"),
        Row("The same, keys dealt for eight rounds", "cohorts.2.dealt.seconds", "s"),
        Row("Phases of a round, keys dealt for it", "cohorts.2.alone.phases", ""),
        Row("On average, keys dealt for eight rounds", "cohorts.2.dealt.phases", ""),
    ],
    "homomorphic": [
        Row("CKKS, bytes a parameter", "ckks_bytes_per_parameter", "bytes", most=16.0),
        Row("BFV, bytes a parameter", "bfv_bytes_per_parameter", "bytes", most=9.0),
        Row("The usual use, bytes a parameter", "usual_bytes_per_parameter", "bytes"),
        Row("The usual encryption over CKKS", "speedup_over_usual.ckks encrypt over usual", least=2.0),
        Row("The usual encryption over BFV", "speedup_over_usual.bfv encrypt over usual", least=2.0),
        Row("The usual addition over CKKS", "speedup_over_usual.ckks add over usual", least=3.0),
        Row("The usual addition over BFV", "speedup_over_usual.bfv add over usual", least=3.0),
        Row("Peak memory of 3 clients with ten million coordinates, CKKS", "ten_million.ckks.peak_megabytes", "MB"),
    ],
    "engine": [
        Row("A steady round of three clients, embedded", "engines.embedded.round_seconds.steady", "s"),
        Row("The same on Flower's simulation engine", "engines.simulation.round_seconds.steady", "s"),
        Row("The same on Flower's deployment engine", "engines.deployment.round_seconds.steady", "s"),
        Row("1,000 clients drawn from 10,000, nobody leaves, all parties", "cohorts.0.seconds", "s"),
        Row("The same, a tenth leaves", "cohorts.1.seconds", "s"),
        Row("The same, 30 % leave and may", "cohorts.2.seconds", "s"),
        Row("Peak memory of that, all parties in one process", "cohorts.2.peak_megabytes", "MB"),
    ],
    "integer_noise": [
        Row("A million discrete Gaussians", "milliseconds.discrete_gaussian", "ms", most=50.0),
        Row("Their random bits alone", "milliseconds.os_bits", "ms"),
        Row("Ours over its bits", "ratio_to_floor_spread"),
        Row("Ours over numpy's floats, neither exact nor secret", "ratio_to_numpy_normal"),
        Row("The textbook's sampler over ours", "speedup_over_one_by_one"),
    ],
    "dp_step": [
        Row("Clipped sum over plain sum, features as they are", "ratios.clipped", most=1.2),
        Row("Clipped sum over plain sum, features whitened", "whitened_ratio_to_non_private", most=1.2),
        Row("With quantisation and exact integer noise", "ratios.private"),
        Row("Plain autograd over plain sum", "ratios.autograd"),
        Row("Opacus' ghost clipping over plain sum", "ratios.opacus_ghost"),
        Row("torch's vmap over plain sum", "ratios.vmap"),
        Row("Opacus' hooks over plain sum", "ratios.opacus_hooks"),
    ],
    "client_level": [
        Row("One client: clip, quantise, exact noise", "milliseconds.one_client", "ms"),
        Row("The server: add, decode", "milliseconds.server", "ms"),
        Row("The mean of arrays at hand", "milliseconds.numpy_mean", "ms"),
        Row("Flower's FedAvg, without privacy, over our server", "fedavg_over_ours"),
        Row("Flower's fixed clipping over our server", "flower_server_over_ours"),
    ],
    "encoding": [
        Row("The embedded model, ours, pictures a second", "models.securefed-tiny.pictures_a_second.ours", ""),
        Row("Its bare tower", "models.securefed-tiny.pictures_a_second.plain", ""),
        Row("Ours over the bare tower", "models.securefed-tiny.speedup.ours", least=0.6),
        Row("Its tower in channels-last order", "models.securefed-tiny.speedup.channels_last"),
        Row("Its tower in bfloat16", "models.securefed-tiny.speedup.bfloat16"),
        Row("Its tower compiled", "models.securefed-tiny.speedup.compiled"),
        Row("Compiling it", "models.securefed-tiny.compiling_seconds", "s"),
        Row("Pictures after which that is won back", "models.securefed-tiny.pictures_until_compiling_pays", ""),
        Row("ViT-B/32, the bare tower, pictures a second", "models.ViT-B-32.pictures_a_second.plain", ""),
        Row("ViT-B/32 in channels-last order", "models.ViT-B-32.speedup.channels_last"),
        Row("ViT-B/32 in bfloat16", "models.ViT-B-32.speedup.bfloat16"),
        Row("ViT-B/32 compiled", "models.ViT-B-32.speedup.compiled"),
        Row("Compiling it", "models.ViT-B-32.compiling_seconds", "s"),
    ],
    "accelerator": [
        Row("Pictures a second, from and to the host", "pictures_a_second", ""),
        Row("Share of the best plain forward pass", "share_of_plain", "", least=0.6),
        Row("A private step at ImageNet's scale", "private_step_milliseconds.cuda", "ms"),
        Row("The same on one thread of the host", "private_step_milliseconds.cpu", "ms"),
    ],
    "accounting": [
        Row("Slowest epsilon of a thousand events", "slowest_epsilon_seconds", "s"),
        Row("dp-accounting's PLD over ours, equal sampled events", "epsilon.sampled_equal.speedup.dp_accounting_pld"),
        Row("Opacus' PRV over ours, equal sampled events", "epsilon.sampled_equal.speedup.opacus_prv"),
        Row("Opacus' RDP over ours, calibration", "calibrate.speedup_over_opacus_rdp"),
        Row("One durable charge, on the clock", "charge.charge_milliseconds", "ms"),
        Row("A commit of a line as long, alone", "charge.commit_milliseconds", "ms"),
        Row("The charge over that commit", "charge.ratio_to_commit", most=2.0),
    ],
    "end_to_end": [
        Row("Ours, images to released adapter", "ours.seconds", "s", most=30.0),
        Row("Peers' parts without an engine", "peers.seconds", "s"),
        Row("Peers over ours", "speedup", least=10.0),
        Row("Peers over ours from a warm cache", "speedup_warm", least=10.0),
        Row("Peers over ours, of the processor", "speedup_of_processor"),
        Row("Peers over ours from a warm cache, of the processor", "speedup_warm_of_processor"),
        Row("Ours from a warm cache", "ours_warm.seconds", "s"),
        Row("What that cannot do without, alone", "needed.seconds", "s"),
        Row("Peers over that", "needed_speedup"),
        Row("Ours from a warm cache over that", "ratio_to_needed"),
        Row("Peers over no privacy at all, of the processor", "lower_bound_speedup_of_processor"),
        Row("Ours with 32 clients, 10 rounds", "many.ours.seconds", "s"),
        Row("Peers' parts with 32 clients, 10 rounds", "many.peers.seconds", "s"),
        Row("Peers over ours with 32 clients", "many.speedup", least=10.0),
        Row("Peers over ours with 32 clients, of the processor", "many.speedup_of_processor"),
        *stages(
            "Ours",
            "ours",
            {
                "load": "images read",
                "encode": "images encoded",
                "ledger": "charges",
                "train": "clipped gradients",
                "quantise": "steps of the ring",
                "noise": "noise",
                "protect": "clients in the secure sum: keys, masks, signatures, journals",
                "sum": "the server in the secure sum",
                "decode": "decoded, adapter moved",
                "evaluate": "accuracy of every round",
                "report": "the report",
            },
        ),
        *stages(
            "Alone",
            "needed",
            {
                "training": "the same adapter without privacy",
                "signatures": "signatures",
                "verifications": "verifications",
                "agreements": "key agreements",
                "random bits": "random bits of the noise",
                "commits": "durable commits",
            },
        ),
        *stages(
            "Peers' parts",
            "peers",
            {
                "encode": "images encoded",
                "train and noise": "clipped gradients and noise",
                "secure sum": "secure sum",
            },
        ),
        Row("Largest memory, ours", "ours.peak_megabytes", "MB"),
        Row("Largest memory, peers' parts", "peers.peak_megabytes", "MB"),
        Row("Accuracy of ours", "ours.accuracy", ""),
        Row("Accuracy of the peers' parts", "peers.accuracy", ""),
        Row("Without privacy, plain averages", "lower_bound.seconds", "s"),
        Row("Ours over that", "ratio_to_lower_bound"),
    ],
    "end_to_end_engine": [
        Row("Ours, images to released adapter", "ours.seconds", "s"),
        Row("Ours from a warm cache", "ours_warm.seconds", "s", most=30.0),
        Row("Peers' parts on Flower's engine", "peers.seconds", "s"),
        Row("Peers over ours", "speedup", least=10.0),
        Row("Peers over ours from a warm cache", "speedup_warm", least=10.0),
        Row("Accuracy of ours", "ours.accuracy", ""),
        Row("Accuracy of the peers' parts", "peers.accuracy", ""),
    ],
    "start": [
        Row("Python alone", "seconds.nothing", "s"),
        Row("`import securefed`", "seconds.import_securefed", "s", most=0.2),
        Row("`securefed --help`", "seconds.help", "s", most=0.3),
        Row("`import torch`, which neither does", "seconds.import_torch", "s"),
    ],
    "growth": [
        Row("10,000 clients of 10,000 coordinates, on the clock", "cohorts.6.wall_seconds", "s", most=60.0),
        Row("The same, work of all processes", "cohorts.6.work_seconds", "s"),
        Row("Its agreements and signatures alone", "cohorts.6.floor_seconds", "s"),
        Row("The same, shared by the clients' two processes, on the clock", "cohorts.6.floor_wall_seconds", "s"),
        Row("Work over that floor", "cohorts.6.ratio_to_floor"),
        Row("Memory of the server, 1,000 clients", "cohorts.4.server_megabytes", "MB"),
        Row("Memory of the server, 10,000 clients", "cohorts.6.server_megabytes", "MB"),
        Row("A client's bytes beside its vector, among 10,000", "cohorts.6.bytes_beside_the_vector", "bytes"),
        Row("A client's work with clients, slope", "clients.growth.milliseconds_a_client.exponent", ""),
        Row("A client's work with clients, last step", "clients.growth.milliseconds_a_client.last", ""),
        Row("A client's bytes with clients, last step", "clients.growth.bytes_a_client.last", ""),
        Row("The server's memory with clients, last step", "clients.growth.server_megabytes.last", ""),
        Row("A client's work with coordinates, last step", "coordinates.growth.milliseconds_a_client.last", ""),
        Row("A clipped sum with records", "records.growth.clipped_sum_milliseconds.exponent", ""),
        Row("A clipped sum with classes", "classes.growth.clipped_sum_milliseconds.exponent", ""),
        Row("Epsilon with rounds", "rounds.growth.epsilon_milliseconds.exponent", ""),
    ],
}


def text() -> str:
    """Return the page."""
    return "\n".join([HEAD, *_sections()])


def main() -> None:
    """Write the page and draw its figures."""
    PAGE.write_text(text(), encoding="utf-8")
    figures.main()


def _sections() -> Iterator[str]:
    for name, rows in SECTIONS.items():
        file = figures.RESULTS / f"{name}.json"
        if not file.exists():
            continue
        found = json.loads(file.read_text(encoding="utf-8"))
        lines = [line for row in rows if (line := row.line(found))]
        title, _, prose = _docstring(name).partition("\n\n")
        yield f"## {' '.join(title.split()).rstrip('.')}\n\n{prose.rstrip()}\n"
        yield "\n".join(["| figure | measured | goal |", "|---|---:|---|", *lines, ""])
        if busy := found["machine"].get("busy"):
            yield f"How busy the machine was: {busy['before']:.2f} before, {busy['after']:.2f} after.\n"
        if name == "growth":
            yield f"![{' '.join(title.split())}](figures/growth.png)\n"
            yield "![What a client of a large cohort costs.](figures/cohorts.png)\n"


def _docstring(name: str) -> str:
    """Return a measurement's docstring in Markdown, without importing what it measures."""
    source = (ROOT / "benchmarks" / f"{name}.py").read_text(encoding="utf-8")
    return re.sub("``", "`", ast.get_docstring(ast.parse(source)) or "")


def _at(found: Any, path: str) -> Any:
    for key in path.split("."):
        found = found[int(key)] if isinstance(found, list) else found[key]
    return found


def _number(value: Any) -> float:
    return float(value["ratio"] if isinstance(value, dict) else value)


def _shown(value: Any) -> str:
    if not isinstance(value, dict):
        return _digits(float(value))
    return f"{_digits(value['ratio'])} ({_digits(value['quartile_low'])} to {_digits(value['quartile_high'])})"


def _digits(value: float) -> str:
    """Return three significant digits, without an exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}"


if __name__ == "__main__":
    main()
