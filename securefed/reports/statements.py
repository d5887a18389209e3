"""The sentences of a report: what is promised, to whom, under which assumptions. Chosen by the plan, never typed."""

from __future__ import annotations

from securefed.plan import Plan

ENCRYPTED = (
    "The server sees one half of each encrypted update, and noisy sums; a decryptor, another party, holds the key, the "
    "other halves and the sums, and can open single updates only with the server. The two are trusted not to work "
    "together. Under that, the stated epsilon covers what the server and at most {colluders} clients see. "
)

SHARES = "At least {honest} clients are trusted to add their share of the noise."

OWN = (
    "Nobody is trusted: each client's message has the stated epsilon by itself, even for a server that colludes "
    "with all other clients."
)

TRUST = {
    ("distributed", "mask"): (
        "Nobody is trusted with records or with one client's update. The server sees the noisy sum only, if it follows "
        "the protocol and at most {colluders} clients show it what they hold; the stated epsilon covers all it sees. "
        "At least {honest} clients are trusted to add their share of the noise."
    ),
    ("distributed", "plain"): (
        "The server is trusted with every client's update, which carries a share of the noise only. "
        "The stated epsilon holds for those who see the sums and the adapter, not for the server."
    ),
    ("per-client", "mask"): (
        "Nobody is trusted: each client's message has the stated epsilon by itself, even for a server that colludes "
        "with all other clients. The masks hide single updates on top of that."
    ),
    ("per-client", "plain"): "Nobody is trusted: each client's message has the stated epsilon by itself.",
    ("client-level", "mask"): (
        "Nobody is trusted with records or with one client's update. The server sees the noisy sum only, if it follows "
        "the protocol and at most {colluders} clients show it what they hold; the stated epsilon covers all it sees of "
        "a client's whole data. At least {honest} clients are trusted to add their share of the noise."
    ),
    ("client-level", "plain"): (
        "The server is trusted with every client's update, which carries a share of the noise only. "
        "The stated epsilon holds for those who see the sums and the adapter, not for the server."
    ),
    ("distributed", "ckks"): ENCRYPTED + SHARES,
    ("distributed", "bfv"): ENCRYPTED + SHARES,
    ("client-level", "ckks"): ENCRYPTED + SHARES,
    ("client-level", "bfv"): ENCRYPTED + SHARES,
    ("per-client", "ckks"): OWN + " Encryption hides single updates from the server on top of that.",
    ("per-client", "bfv"): OWN + " Encryption hides single updates from the server on top of that.",
    ("none", "ckks"): "Everybody who sees the sums or the adapter is trusted: there is no differential privacy.",
    ("none", "bfv"): "Everybody who sees the sums or the adapter is trusted: there is no differential privacy.",
    ("none", "mask"): "Everybody who sees the sums or the adapter is trusted: there is no differential privacy.",
    ("none", "plain"): "The server is trusted with every client's exact update: nothing protects the records.",
}

NEIGHBOURS = {
    ("record", "add-or-remove-one"): (
        "data sets that differ by one record, present in one of them and absent in the other"
    ),
    ("record", "replace-one"): "data sets of the same size that differ in one record's content",
    ("client", "add-or-remove-one"): (
        "federations in which one client has its records, or takes part with none; that it takes part is public"
    ),
    ("client", "replace-one"): "federations in which one client has these records, or any others",
}

UNITS = {
    "record": "record: one image with its label; somebody with several images is covered several times",
    "client": "client: everything that one client holds, however many records that is",
}


def trust(plan: Plan) -> str:
    """Return who has to be trusted with what."""
    sentence = TRUST[plan.setting, plan.secure]
    return sentence.format(colluders=plan.max_colluders, honest=plan.honest_shares)


def definition(plan: Plan) -> dict[str, str]:
    """Return what exactly the epsilon speaks of."""
    return {
        "unit": UNITS[plan.unit],
        "adjacency": NEIGHBOURS[plan.unit, plan.adjacency],
        "accesses": "every use of the clients' records for training, in all runs that charged the same ledgers",
        "outputs": "every noisy sum, every intermediate adapter and the released adapter",
    }


def unprotected(plan: Plan) -> list[str]:
    """Return what leaves, or enters the run, outside the mechanism."""
    return [
        "the public choices in plan.toml, among them the expected number of records and the class names",
        "which clients took part and which dropped out, per round",
        "accuracy on the held-out split: its images belong to no client and are not covered",
        "choices made before the run; hyper-parameters are meant to come from public data",
        "timing of the computation on a client",
    ]
