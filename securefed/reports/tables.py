"""The tables of a report, the same in every rendering: a head and rows of text each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

from securefed.reports.record import Json

ACCOUNTANTS = {
    "stated": "the tightest bound that is proved: the one stated",
    "renyi": "Rényi costs, whole orders",
    "pld": "privacy loss distribution (dp-accounting)",
    "rdp": "Rényi costs (dp-accounting)",
    "prv": "privacy random variables (Opacus)",
}

BY_ROUND = ("per_round", "total_by_round", "left_by_round")
"""What is known of the spend after each round."""


@final
@dataclass(frozen=True, slots=True)
class Table:
    """Text in rows.

    Attributes:
        head: Of each column.
        rows: Cells of each row.
        numbers: Columns that hold numbers.
    """

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]] = field(repr=False)
    numbers: tuple[int, ...] = ()


def headline(report: Json) -> Table:
    """Return what the run was and what it gave."""
    budget = "no differential privacy"
    if report["spend"]:
        budget = (
            f"(ε = {report['epsilon']:.4f}, δ = {report['delta']:g}) against the server and its colluders, "
            f"ε = {report['epsilon_server_view']:.4f} against everybody else"
        )
    if report["spend"] and not report["private"]:
        budget = f"VOID, see above; it would be {budget}"
    return Table(
        ("", ""),
        [
            ("Setting", f"{report['setting']}, {report['clients']} clients, {report['rounds']} rounds"),
            ("Updates travel", report["secure"]),
            ("Budget spent", budget),
            ("Accuracy", f"{report['accuracy']:.4f} on the held-out split of {report['data']}"),
            ("Zero-shot accuracy", f"{report['zero_shot_accuracy']:.4f}"),
            *_unseen(report),
        ],
    )


def _unseen(report: Json) -> list[tuple[str, str]]:
    found = report["unseen"]
    if found is None:
        return []
    shown = f"{found['accuracy']:.4f}; zero-shot {found['zero_shot_accuracy']:.4f}"
    return [(f"Accuracy on {found['domain']}, which nobody trained on", shown)]


def assumptions(report: Json) -> Table:
    """Return what the guarantee rests on."""
    rows = [(item["assumption"], item["status"], item["evidence"]) for item in report["assumptions"]]
    return Table(("Assumption", "Status", "Evidence"), rows)


def bounds(report: Json) -> Table:
    """Return what the charges allow."""
    found = report["bounds"]
    rows = [(f"ε by {ACCOUNTANTS[name]}", f"{value:.4f}") for name, value in found["accountants"].items()]
    rows += [(f"ε at δ = {delta}", f"{value:.4f}") for delta, value in found["epsilon_at"].items()]
    rows.append(("μ of a Gaussian mechanism that gives away as much (μ-GDP)", f"{found['mu']:.4f}"))
    rows.append(("largest membership advantage", f"{found['advantage']:.4f}"))
    rows += [
        (f"largest true positive rate at a false one of {fpr}", f"{tpr:.4f}")
        for fpr, tpr in found["tpr_at_fpr"].items()
    ]
    return Table(("Against the server and the tolerated colluders", "Bound"), rows, (1,))


def delta_curve(report: Json) -> Table:
    """Return the curve of delta against epsilon."""
    rows = [(f"{epsilon:.4f}", f"{delta:.3e}") for epsilon, delta in report["bounds"]["delta_curve"]]
    return Table(("ε", "δ(ε)"), rows, (0, 1))


def spend(report: Json) -> Table:
    """Return what each client spent."""
    rows = [
        (
            name,
            *(f"{client[key]:.4f}" for key in ("epsilon", "budget", "left")),
            str(client["charges"]),
            str(client["runs"]),
        )
        for name, client in report["spend"]["per_client"].items()
    ]
    return Table(("Client", "ε spent", "ε budget", "ε left", "Charges", "Runs on this data"), rows, (1, 2, 3, 4, 5))


def runs(report: Json) -> Table:
    """Return every run on the same data."""
    rows = [
        (
            f"{run['run']} (this run)" if run["is_this_run"] else run["run"],
            ", ".join(run["purposes"]),
            str(run["clients"]),
            str(run["charges"]),
            f"{run['epsilon']:.4f}",
        )
        for run in report["runs_on_this_data"]
    ]
    return Table(("Run", "Purpose", "Clients", "Charges of a client", "ε by itself"), rows, (2, 3, 4))


def rounds(report: Json) -> Table:
    """Return accuracy, spend and members of each round."""
    spent = report["spend"]
    survivors, dropped = (report["secure_sum"][f"{kind}_by_round"] for kind in ("survivors", "dropped"))
    rows = [
        (
            str(number + 1),
            f"{accuracy:.4f}",
            *(
                f"{spent[key][number]:.4f}" if spent else "none"
                for key in ("per_round", "total_by_round", "left_by_round")
            ),
            str(len(survivors[number])),
            ", ".join(dropped[number]) or "nobody",
        )
        for number, accuracy in enumerate(report["accuracy_by_round"])
    ]
    head = ("Round", "Accuracy", "ε of this run", "ε of all runs", "ε left", "Clients in the sum", "Dropped out")
    return Table(head, rows, (0, 1, 2, 3, 4, 5))


def spent_by_round(report: Json) -> Table:
    """Return the spend after each round."""
    spent = report["spend"]
    rows = [
        (str(number), *(f"{value:.4f}" for value in values))
        for number, values in enumerate(zip(*(spent[key] for key in BY_ROUND), strict=True), 1)
    ]
    return Table(("Round", "ε of this run", "ε of all runs", "ε left"), rows, (0, 1, 2, 3))


def accuracy_by_round(report: Json) -> Table:
    """Return the accuracy after each round, beside the spend."""
    spent = report["spend"]["per_round"] if report["spend"] else None
    rows = [("0", "0.0000" if spent else "none", f"{report['initial_accuracy']:.4f}")]
    rows += [
        (str(number + 1), f"{spent[number]:.4f}" if spent else "none", f"{accuracy:.4f}")
        for number, accuracy in enumerate(report["accuracy_by_round"])
    ]
    return Table(("Round", "ε of this run", "Accuracy"), rows, (0, 1, 2))


def members(report: Json) -> Table:
    """Return who was in the sum of each round, and who dropped out."""
    survivors, dropped = (report["secure_sum"][f"{kind}_by_round"] for kind in ("survivors", "dropped"))
    rows = [
        (str(number), str(len(here)), str(len(gone)), ", ".join(gone) or "nobody")
        for number, (here, gone) in enumerate(zip(survivors, dropped, strict=True), 1)
    ]
    return Table(("Round", "In the sum", "Dropped out", "Who"), rows, (0, 1, 2))


def audit(report: Json) -> Table:
    """Return what attacks achieved beside what is claimed."""
    rows = [
        (
            row["bug"] or "as it is",
            row["method"],
            *(f"{row[key]:.4f}" for key in ("claimed", "gaussian", "any")),
            _verdict(row),
        )
        for row in report["audit"]["rows"]
    ]
    head = ("Pipeline", "Attack", "ε claimed", "ε at least, if Gaussian", "ε at least, always", "Verdict")
    return Table(head, rows, (2, 3, 4))


def _verdict(row: Json) -> str:
    if row["bug"]:
        return "bug found" if row["holds"] else "bug not found"
    return "below the claim" if row["holds"] else "ABOVE THE CLAIM"


def nist(report: Json) -> Table:
    """Return the blocks of NIST's pyramid."""
    rows = [(item["block"], item["answer"], item["see"]) for item in report["nist_sp_800_226"]]
    return Table(("Block", "Here", "In report.json"), rows)


def registry(report: Json) -> Table:
    """Return the fields of the deployments registry."""
    rows = [
        (tier.replace("_", " "), name.replace("_", " "), shown(value))
        for tier, fields in report["deployments_registry"].items()
        for name, value in fields.items()
    ]
    return Table(("Tier", "Field", "Here"), rows)


def facts(values: Json) -> Table:
    """Return names and values, one a row."""
    return Table(("", ""), [(name.replace("_", " "), shown(value)) for name, value in values.items()])


def secure_sum(report: Json) -> Table:
    """Return who was in the sums, what vouches for that, and what travelled."""
    found = report["secure_sum"]
    record, sizes = found["transcript"], [len(names) for names in found["survivors_by_round"]]
    verified = (
        "these sums keep no signed record" if record is None else "yes" if record["verified"] else record["problem"]
    )
    return Table(
        ("", ""),
        [
            ("cohort", f"{found['cohort']} clients, at least {found['threshold']} in a sum"),
            ("clients in the sums", f"{min(sizes)} to {max(sizes)}"),
            ("signed record verified", verified),
            ("transcript root", (record and record["root"]) or "none"),
            ("answers put aside", str(len(record["refusals"])) if record else "not recorded"),
            ("roster root", found["roster_root"]),
            ("messages", str(found["messages"])),
            ("bytes up, per client and round", f"{found['bytes_up_per_client_and_round']:.1f}"),
            ("bytes down, per client and round", f"{found['bytes_down_per_client_and_round']:.1f}"),
        ],
    )


def origin(report: Json) -> Table:
    """Return what is needed to repeat or check the run."""
    model = report["model"]
    return Table(
        ("", ""),
        [
            ("run", report["run"]),
            ("plan", report["plan_digest"]),
            (f"model {model['name']}", model["sha256"]),
            ("adapter", report["adapter_sha256"]),
            ("this report", report["digest"]),
            ("made with", ", ".join(f"{name} {version}" for name, version in report["versions"].items())),
        ],
    )


def shown(value: object) -> str:
    """Return a value as text."""
    if value is None:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {shown(item)}" for name, item in value.items())
    if isinstance(value, list):
        return "; ".join(map(shown, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
