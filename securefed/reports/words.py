"""The guarantee in plain words, for three readers; every number in them is the report's."""

from __future__ import annotations

from securefed.reports.bounds import in_words
from securefed.reports.record import Json


def plain_words(report: Json) -> dict[str, str]:
    """Return the guarantee for the people in the data, for a data-protection officer and for an engineer."""
    if report["epsilon"] is None:
        nothing = "This run gives no differential privacy: what it releases may show whether one record was used."
        return {"people": nothing, "data_protection_officer": nothing, "engineer": nothing}
    if not report["private"]:
        void = f"The guarantee is void. {report['warnings'][0]} No figure of this report promises anything to anybody."
        return {"people": void, "data_protection_officer": void, "engineer": void}
    return {
        "people": _people(report),
        "data_protection_officer": _officer(report),
        "engineer": _engineer(report),
    }


def _people(report: Json) -> str:
    right = 50 * (1 + report["bounds"]["advantage"])
    return (
        f"Your data took part, or did not; told to guess which about one {report['unit']}, with even odds and whatever "
        f"else they know, nobody who sees the results is right in more than {right:.1f} of 100 cases. Without any "
        "results, 50 would be right by chance."
    )


def _officer(report: Json) -> str:
    left = [client["left"] for client in report["spend"]["per_client"].values()]
    others = len(report["runs_on_this_data"]) - 1
    return (
        f"{in_words(report['bounds'], report['unit'])} This counts every charged use of the "
        f"data: this run and {others or 'no'} other{'s' * (others > 1)}. Of the budgets that the owners set, at least "
        f"{min(left):.4f} of epsilon is left. "
        "What is attested and not enforced, and what is not protected at all, is listed below."
    )


def _engineer(report: Json) -> str:
    mechanism = report["mechanism"]
    return (
        f"(ε, δ) = ({report['epsilon']:.4f}, {report['delta']:g}) for {report['definition']['adjacency']}, against the "
        f"server with {mechanism['max_colluders']} colluding clients; μ-GDP with μ = {report['bounds']['mu']:.4f}. "
        f"{mechanism['name']}, noise multiplier {mechanism['noise_multiplier']:.4f} at clip norm "
        f"{mechanism['clip_norm']:.6g}, {mechanism['shares']} shares, "
        f"{report['rounds'] * report['local_steps']} steps. Composed by "
        f"{report['accounting']['stated_by']}."
    )
