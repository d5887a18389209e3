"""What ``report.json`` holds: a versioned schema, published as JSON Schema in ``docs/report-schema.json``.

A change to what is written, rendering included, is a new version: ``verify`` compares to the byte.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt

SCHEMA = "securefed-report/3"

Digest = str


class Part(BaseModel):
    """A part of a report: frozen, and nothing but what is named."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Definition(Part):
    """What exactly epsilon speaks of."""

    unit: str = Field(description="What one unit of privacy is.")
    adjacency: str = Field(description="Which data sets are neighbours.")
    accesses: str = Field(description="Which uses of the data are covered.")
    outputs: str = Field(description="Which outputs are covered.")


class Assumption(Part):
    """Something the guarantee rests on."""

    assumption: str
    status: Literal["enforced", "attested", "violated"]
    evidence: str


class Bounds(Part):
    """What all charges allow a coalition of the server and the tolerated colluders."""

    accountants: dict[str, float] = Field(description="Epsilon by each accountant; 'stated' is the tightest proved.")
    epsilon_at: dict[str, float] = Field(description="Epsilon by delta, three of them.")
    delta_curve: list[list[float]] = Field(description="Pairs of epsilon and the delta that holds at it.")
    mu: NonNegativeFloat = Field(description="Of the least Gaussian mechanism that gives away as much (mu-GDP).")
    advantage: float = Field(ge=0, le=1, description="Largest true minus false positive rate of any membership test.")
    tpr_at_fpr: dict[str, float] = Field(description="Largest true positive rate, by false positive rate.")


class Accounting(Part):
    """How epsilon was computed."""

    client: str = Field(description="Whose ledger is stated: that of the client that spent most.")
    over_clients: str
    stated_by: str
    holds_for: str
    composition: str
    charges: dict[str, int] = Field(description="Charges by mechanism.")
    filter: str = Field(description="What refused while the run went on.")


class ClientSpend(Part):
    """What one client's data has spent over all runs."""

    epsilon: float
    epsilon_server_view: float
    filter: str
    budget: float
    left: float
    charges: NonNegativeInt
    runs: NonNegativeInt
    head: Digest = Field(description="SHA-256 of the ledger's last line.")


class Spend(Part):
    """Epsilon by round and client."""

    worst_client: str
    before_this_run: float = Field(description="Of all earlier runs on the worst client's data.")
    per_round: list[float] = Field(description="Of this run, after each round.")
    total_by_round: list[float] = Field(description="Of all runs on the worst client's data, after each round.")
    left_by_round: list[float] = Field(description="Of that client's budget, after each round.")
    per_client: dict[str, ClientSpend]


class RunOnData(Part):
    """A run that charged one of the ledgers."""

    run: str
    is_this_run: bool
    purposes: list[str]
    clients: PositiveInt
    charges: PositiveInt
    epsilon: float = Field(description="Of this run alone, of the client that it cost most.")


class Refusal(Part):
    """An answer that the server put aside."""

    round: PositiveInt
    client: str
    reason: str


class Transcript(Part):
    """What the signed records of the sums vouch for."""

    verified: bool
    problem: str | None
    root: Digest | None = Field(description="Hash of the last line of the last round's record.")
    refusals: list[Refusal]


class SecureSum(Part):
    """Who was in each sum, what vouches for that, and what travelled."""

    kind: Literal["mask", "ckks", "bfv", "plain"]
    cohort: PositiveInt
    threshold: PositiveInt
    survivors_by_round: list[list[str]]
    dropped_by_round: list[list[str]]
    roster_root: Digest
    transcript: Transcript | None = Field(description="None where sums keep no signed record.")
    messages: NonNegativeInt
    bytes_up_per_client_and_round: float
    bytes_down_per_client_and_round: float


class AuditRow(Part):
    """One attack."""

    bug: str = Field(description="Deliberate bug of a control, or empty for the pipeline as it is.")
    method: str
    claimed: float
    gaussian: float = Field(description="Lower bound on epsilon that uses that the noise is Gaussian.")
    any: float = Field(description="Lower bound on epsilon that does not.")
    holds: bool = Field(description="No bound above the claim; for a control, a bound above it.")


class Audit(Part):
    """What an audit found, beside what is claimed."""

    delta: float
    confidence: float
    rows: list[AuditRow]
    failed: list[AuditRow]
    sha256: Digest
    signed_by_the_server: bool = Field(description="Whether it was in the run when its inventory was signed.")


class Block(Part):
    """A block of NIST's pyramid."""

    block: str
    answer: str
    see: str = Field(description="Entries of this report.")


class Unseen(Part):
    """How accurate it became on the domain that nobody trained on."""

    domain: str
    accuracy: float
    zero_shot_accuracy: float


class Report(Part):
    """The privacy report of one run, derived from its ledgers, transcripts and metrics."""

    schema_: Literal["securefed-report/3"] = Field(alias="schema")
    warnings: list[str] = Field(description="What must stand at the top of every rendering.")
    private: bool
    epsilon: float | None
    epsilon_target: float | None
    epsilon_server_view: float | None = Field(description="Of the server alone, without colluders.")
    epsilon_this_run: float | None
    delta: float
    bounds: Bounds | None
    accounting: Accounting | None
    spend: Spend | None
    runs_on_this_data: list[RunOnData]
    accuracy: float
    zero_shot_accuracy: float
    initial_accuracy: float
    accuracy_by_round: list[float]
    unseen: Unseen | None = Field(description="None where no domain was left out.")
    data: str
    partition: str
    setting: str
    secure: str
    unit: str
    clients: PositiveInt
    rounds: PositiveInt
    local_steps: PositiveInt
    sampling: dict[str, Any]
    definition: Definition
    trust: str
    plain_words: dict[str, str]
    assumptions: list[Assumption]
    mechanism: dict[str, Any]
    randomness: dict[str, str]
    numeric: dict[str, str]
    secure_sum: SecureSum
    audit: Audit | None
    unprotected: list[str]
    nist_sp_800_226: list[Block]
    deployments_registry: dict[str, dict[str, Any]]
    seconds: dict[str, float]
    run: str
    plan_digest: Digest
    model: dict[str, str]
    adapter_sha256: Digest
    versions: dict[str, str]
    digest: Digest = Field(description="SHA-256 of all of the above.")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of ``report.json``, draft 2020-12."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:{SCHEMA.replace('/', ':')}"}
    return head | Report.model_json_schema(by_alias=True)
