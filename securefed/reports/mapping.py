"""The report by the headings of others: NIST SP 800-226 and the registry of differential privacy deployments.

NIST's publication (Near, Darais, Lefkovitz and Howarth, March 2025, doi:10.6028/NIST.SP.800-226) stacks what a
guarantee depends on into a pyramid; its blocks are named here in our words. The registry (registry.opendp.org, three
tiers of transparency) asks for fields; those that a run cannot know are left for who publishes it.
"""

from __future__ import annotations

from securefed.plan import Plan
from securefed.reports.record import Json

UNKNOWN = "to be stated by who publishes the result"

MODELS = {
    "distributed": "distributed: clients add shares of the noise, a secure sum joins them",
    "client-level": "distributed: clients add shares of the noise, a secure sum joins them",
    "per-client": "local: every client's message is private by itself",
    "none": "none",
}


def nist(report: Json) -> list[Json]:
    """Return, for each block of the pyramid from its top, what this report says and where."""
    private = report["epsilon"] is not None
    budget = f"ε = {report['epsilon']:.4f}, δ = {report['delta']:g}" if private else "no differential privacy"
    return [
        _block("privacy parameters", budget, "bounds"),
        _block("unit of privacy", report["definition"]["unit"], "definition"),
        _block("neighbouring data sets", report["definition"]["adjacency"], "definition"),
        _block("trust model", report["trust"], "trust"),
        _block(
            "algorithm and its correctness",
            "exact integer noise, charged before it is drawn; accountants that know nothing of one another agree",
            "assumptions, bounds, audits",
        ),
        _block("utility", f"accuracy {report['accuracy']:.4f} on a held-out split", "accuracy_by_round"),
        _block("bias", "not measured: accuracy by group is not part of a run", "unprotected"),
        _block(
            "side channels",
            "integers only, so no float betrays a neighbour; timing on clients is not protected",
            "numeric, unprotected",
        ),
        _block(
            "security and access",
            "updates travel by " + report["secure"] + "; who may see a client's machine is not known to a run",
            "secure_sum",
        ),
        _block("other releases", "every run that charged the same ledgers counts", "runs_on_this_data"),
        _block("data collection", "records stay with the clients; how they were collected is " + UNKNOWN, "definition"),
    ]


def registry(report: Json, plan: Plan) -> dict[str, Json]:
    """Return the registry's fields, by tier."""
    return {
        "tier_1": {
            "curator": UNKNOWN,
            "product": f"an adapter of the CLIP model {plan.model}",
            "intended_use": UNKNOWN,
            "publication_date": UNKNOWN,
        },
        "tier_2": {
            "flavour": "approximate differential privacy" if plan.private else "none",
            "privacy_unit": report["unit"],
            "epsilon": report["epsilon"],
            "delta": report["delta"] if plan.private else None,
            "deployment_model": MODELS[plan.setting],
        },
        "tier_3": {
            "data_domain": f"images of {plan.data} with one of {len(plan.classes)} public class names",
            "unprotected_quantities": report["unprotected"],
            "unit_in_detail": report["definition"]["unit"],
            "neighbours": report["definition"]["adjacency"],
            "post_processing": "whatever is computed from the released sums and adapters costs nothing more",
            "composition": report["accounting"]["composition"] if plan.private else None,
            "implementation": "securefed " + report["versions"]["securefed"],
            "security": report["trust"],
            "rationale": UNKNOWN,
        },
    }


def _block(block: str, answer: str, where: str) -> Json:
    return {"block": block, "answer": answer, "see": where}
