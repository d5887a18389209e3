"""Write docs/sizing.md: what was measured of engines and cohorts, and what follows for 10,000 to a million clients.

    python -m benchmarks.sizing

Nothing on the page is written by hand but its words; which limit comes first is read off the figures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import fitted

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "sizing.md"

CLIENTS = (10_000, 100_000, 1_000_000)
DIMS = (10_000, 1_000_000)
LEAVING, ROUNDS = 0.05, 8
PHASES = 3 + 2 / ROUNDS
"""Of a round of a large cohort, those of the deal shared among its rounds."""

GIGABIT = 1e9 / 8
"""Bytes a second."""

ADAPTER = 8
"""Bytes of one of its coordinates on the wire."""

PATIENCE = 300.0
"""Seconds that a phase gets by default, at most."""

HEAD = """# Sizing a federation

Made by `python -m benchmarks.sizing` from `engine.json` and `server_memory.json` in `benchmarks/results`. Sections
whose title says *measured* hold figures of runs; those whose title says *computed* follow from a fit to them, or from
sizes that are public, and nobody has run them. The largest cohort measured here has 1,000 clients; a sum of 10,000 is
on the page of [performance](performance.md). Read the computed figures as orders of magnitude.
"""

ENGINES = """## Measured: one small federation on three engines

{clients} clients, {rounds} rounds of private CacheFL with {dim} coordinates, all on one machine. The first round deals
keys and has four phases, a steady round has two. *Embedded* is the work itself; what an engine takes longer is its
own: Flower's deployment engine starts a process for every message. Until it is up, libraries are loaded, images
encoded and parties started. Shares are of a steady round.

| engine | it is up after | a phase | first round | steady round | engine | secure sum | training, noise | ledger |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
"""

COHORTS = """## Measured: a thousand clients drawn from ten thousand

10,000 coordinates of 32 bits, every key and signature real, all parties in one process. A plan gives such a cohort one
sum along a sparse graph and no groups, so a client hides among all who survive. A threshold that lets 30 % go needs
more neighbours, and all work grows with them. *Survives* is counted on {seeds} random graphs each: with exactly so many
leaving, and with everybody leaving by a coin of that chance. A coin sends more than its mean away about every second
time, so plan for more dropouts than you expect.

| leave | may | neighbours | everybody | server | a client | it sends | receives | memory | exact | survives | by coin |
|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
"""

MEMORIES = """## Measured: what the server holds

One round of the federation's own server in a process of its own, clients in another, keys dealt for 8 rounds, nobody
leaves. Requests are made when they are sent and answers go to disk as they arrive, so the server holds neither
everybody's adapters nor everybody's vectors: what both would be together stands beside it. It does hold sealed shares
for each client and neighbour.

| clients | coordinates | neighbours | the server's memory grew by | everybody's adapters and vectors |
|---:|---:|---:|---:|---:|
"""

MODEL = """## Computed: the model

Seconds are sums of what the protocol does, one coefficient for each part, fitted on {rows} measured cases of 150 to
1,000 clients, {dims} coordinates and deals for 1 or 8 rounds. Bytes need no fit: sizes of frames are public
([wire format](wire-format.md)). The fit of a client's work misses a measured case by at most {client:.0%}, that of the
server's by at most {server:.0%}; that of its memory, on the {held_rows} cases above, by at most {held:.0%}. A part
that the cases cannot tell apart from another may get nothing.

| who | for | costs |
|---|---|---:|
"""

ROUND = """## Computed: one round

Default threshold, {leaving:.0%} leave, keys dealt for {rounds} rounds, 32 bits; one core a party, a line of 1 Gbit/s
at the server. A client receives the adapter, 8 bytes a coordinate, beside its frames. The server holds
what the model says, and its disk the vectors until the round is over, and a copy while they are overwritten. The
longest time of a row is in bold.

| clients | coordinates | neighbours | a client sends | receives | its work | server's work | line | memory | disk |
|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
"""

FIRST = """## Computed: what breaks first

{limits}
* **The server's memory and disk.** Vectors go to its disk, so that a killed server goes on, and through its memory one
  by one: with {most_clients:,} clients of {dim:,} coordinates it holds {held} and its disk {disk}. What grows in
  memory is sealed shares: {shares} for {million:,} clients of {least_dim:,} coordinates.
* **The lists of who is there.** Every client is sent bitmaps of the cohort: they are {bitmaps} of what a client
  of a million receives beside the adapter, and their sum at the server grows with the square of the cohort.
* **The SuperLink's database.** Every message goes through one SQLite file: {messages} a round of a million clients.
  What it bears was not measured beyond the three clients above.
* **Deadlines.** The server waits for a silent client until the phase's deadline, {patience:.0f} seconds by default,
  and a deadline that was run into does not shrink. Among very many clients somebody is silent in every phase: a steady
  round of a large cohort, three phases, then takes {waiting} whatever anybody computes.
* **One process a message.** What an engine adds to a phase (above) it adds on each client's own machine, side by side;
  on one machine for all it adds up.
* **Hiding sets.** In one sum of n clients a client hides among at least {hiding:.0%} of them: nine tenths survive,
  and a tenth may work with the server. Groups that find poisoned vectors shrink that to one group, however large the
  cohort.

What follows: draw a cohort instead of adding everybody. A thousand clients of a million in the roster differ from a
thousand of ten thousand by the bitmap of the roster in one frame, {roster:,.0f} bytes. The sums bear that, as
measured above; a plan's cohort is still everybody that it names.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(text(), encoding="utf-8")


def text() -> str:
    """Return the page."""
    found = json.loads((RESULTS / "engine.json").read_text(encoding="utf-8"))
    rows = [*found["cohorts"], *found["points"]]
    cases = json.loads((RESULTS / "server_memory.json").read_text(encoding="utf-8"))["cases"]
    fits = fitted.client(rows), fitted.server(rows), fitted.memory(cases)
    measured = [*_engines(found["engines"]), *_cohorts(found["cohorts"]), *_memories(cases)]
    sized = {dim: [_sized(clients, dim, *fits) for clients in CLIENTS] for dim in DIMS}
    return "\n".join([HEAD, *measured, *_model(rows, len(cases), *fits), *_rounds(sized), _first(sized)])


def _engines(found: Mapping[str, Any]) -> Iterator[str]:
    lines = []
    for name in ("embedded", "simulation", "deployment"):
        engine = found[name]
        lines.append(
            f"| {name} | not measured: {engine['skipped']} |" if "skipped" in engine else _engine(name, engine)
        )
    yield ENGINES.format_map(found) + "\n".join(lines) + "\n"
    if "database_bytes" in found["deployment"]:
        deployed = found["deployment"]
        yield (
            f"The deployment's messages had {_bytes(deployed['carried_bytes'])} in {deployed['phases']} phases; the "
            f"SuperLink's database had {_bytes(deployed['database_bytes'])} afterwards, its empty tables included.\n"
        )


def _engine(name: str, engine: Mapping[str, Any]) -> str:
    phases = sorted(engine["phase_seconds"].values())
    shares, rounds = engine["shares"], engine["round_seconds"]
    cells = [_seconds(each) for each in (engine["start_seconds"], phases[len(phases) // 2], *rounds.values())]
    parts = (shares["engine"], shares["secure_sum"], shares["train"] + shares["noise"], shares["ledger"])
    return f"| {name} | {' | '.join([*cells, *(f'{part:.1%}' for part in parts)])} |"


def _cohorts(rows: list[dict[str, Any]]) -> Iterator[str]:
    lines = []
    for row in rows:
        clients, exact = row["clients"], f"{row['exact']} of {row['seeds']}"
        cells = [
            f"{row['leaving'] / clients:.0%}",
            f"{1 - row['threshold'] / clients:.0%}",
            row["neighbours"],
            _seconds(row["seconds"]),
            _seconds(row["server_seconds"]),
            _seconds(row["client_milliseconds"] / 1000),
            *(_bytes(row[way]) for way in ("bytes_up", "bytes_down")),
            f"{row['peak_megabytes']:.0f} MB",
            exact,
            *(f"{row[way]:.0%}" for way in ("survives", "survives_coins")),
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    yield COHORTS.format(seeds=rows[0]["survival_seeds"]) + "\n".join(lines) + "\n"


def _memories(rows: list[dict[str, Any]]) -> Iterator[str]:
    lines = []
    for row in rows:
        sizes = (f"{row[name]:,}" for name in ("clients", "dim", "neighbours"))
        cells = [*sizes, *(_bytes(row[name]) for name in ("server_bytes", "everybodys_bytes"))]
        lines.append(f"| {' | '.join(cells)} |")
    yield MEMORIES + "\n".join(lines) + "\n"


def _model(
    rows: list[dict[str, Any]], held_rows: int, client: fitted.Fit, server: fitted.Fit, memory: fitted.Fit
) -> Iterator[str]:
    dims = " or ".join(f"{dim:,}" for dim in sorted({row["dim"] for row in rows}))
    lines = [
        f"| {who} | {part} | {cost:.2g} ms |"
        for who, fit in (("client", client), ("server", server))
        for part, cost in fit.costs.items()
    ]
    lines += [f"| server's memory | {part} | {_bytes(cost)} |" for part, cost in memory.costs.items()]
    worst = {"client": client.worst, "server": server.worst, "held": memory.worst}
    yield MODEL.format(rows=len(rows), held_rows=held_rows, dims=dims, **worst) + "\n".join(lines) + "\n"


def _sized(clients: int, dim: int, client: fitted.Fit, server: fitted.Fit, memory: fitted.Fit) -> dict[str, Any]:
    """Return what one round of a cohort takes; seconds by limit."""
    case = fitted.planned(clients, dim=dim, leaving=LEAVING, rounds=ROUNDS)
    up, down = fitted.bytes_of(case)
    limits = {
        "a client's work": client(case) / 1000,
        "the server's work on one core": clients * server(case) / 1000,
        "the server's line": clients * (up + down + ADAPTER * dim) / GIGABIT,
    }
    return case | {
        "up": up,
        "down": down + ADAPTER * dim,
        "held": memory(case),
        "disk": 2 * clients * dim * case["bits"] / 8,
        "limits": limits,
        "bitmaps": _bitmaps(clients) / down,
    }


def _bitmaps(clients: int) -> float:
    """Return the bytes of bitmaps that a client receives in a round: roster, survivors, witnesses; two when dealt."""
    return -(-clients // 8) * PHASES


def _rounds(sized: Mapping[int, list[dict[str, Any]]]) -> Iterator[str]:
    lines = [_row(row) for rows in sized.values() for row in rows]
    yield ROUND.format(leaving=LEAVING, rounds=ROUNDS) + "\n".join(lines) + "\n"


def _first(sized: Mapping[int, list[dict[str, Any]]]) -> str:
    """Return what breaks first, cohort by cohort, and what no fit can tell."""
    million, longest = sized[DIMS[0]][-1], sized[DIMS[-1]][0]
    return FIRST.format(
        limits="\n".join(_longest(row) for rows in sized.values() for row in rows),
        bitmaps=f"{million['bitmaps']:.0%}",
        messages=f"{2 * PHASES * million['clients'] / 1e6:.3g} million",
        patience=PATIENCE,
        most_clients=longest["clients"],
        dim=longest["dim"],
        held=_bytes(longest["held"]),
        disk=_bytes(longest["disk"]),
        million=million["clients"],
        least_dim=million["dim"],
        shares=_bytes(million["held"]),
        waiting=_seconds(3 * PATIENCE),
        hiding=0.9 - 0.1,
        roster=(CLIENTS[-1] - CLIENTS[0]) / 8,
    )


def _row(row: Mapping[str, Any]) -> str:
    seconds = (_marked(name, row["limits"]) for name in row["limits"])
    sizes = (f"{row[name]:,}" for name in ("clients", "dim", "neighbours"))
    cells = [*sizes, _bytes(row["up"]), _bytes(row["down"]), *seconds, _bytes(row["held"]), _bytes(row["disk"])]
    return f"| {' | '.join(map(str, cells))} |"


def _marked(name: str, limits: Mapping[str, float]) -> str:
    shown = _seconds(limits[name])
    return f"**{shown}**" if limits[name] == max(limits.values()) else shown


def _longest(row: Mapping[str, Any]) -> str:
    name, seconds = max(row["limits"].items(), key=lambda each: each[1])
    return f"* **{row['clients']:,} clients, {row['dim']:,} coordinates:** {name}, {_seconds(seconds)} a round."


def _seconds(value: float) -> str:
    for size, unit in ((86_400.0, "days"), (3_600.0, "h"), (60.0, "min"), (1.0, "s")):
        if value >= (1 if unit == "s" else 2 * size):
            return f"{value / size:.3g} {unit}"
    return f"{1000 * value:.3g} ms"


def _bytes(value: float) -> str:
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} B"


if __name__ == "__main__":
    main()
