"""``SECURITY.md``: made from promises, messages and measured attacks, so that it cannot say what they do not."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from securefed.aggregation.encryption import SECURE_BITS
from securefed.aggregation.identity import SIGNATURE
from securefed.aggregation.keys import KEY
from securefed.aggregation.parameters import DIGEST
from securefed.errors import ConfigError, VerificationError
from securefed.threat_models import scorecard
from securefed.threat_models.fields import BITS, CLIENTS, DIM, fields
from securefed.threat_models.markdown import command, number, seeds, table
from securefed.threat_models.promises import NON_GOALS, PROMISES
from securefed.threat_models.scorecard import Json, thinnest
from securefed.threat_models.words import seen

PAGE = Path("SECURITY.md")

RESULTS = Path("benchmarks") / "results"
"""Where the published scorecard and kill rate are."""

THINNEST = 3


def security(card: Json, kills: Json | None) -> str:
    """Return the page.

    Args:
        card: The published scorecard.
        kills: The published kill rate; None before there is one.
    """
    environment = Environment(
        loader=PackageLoader("securefed.threat_models"),
        autoescape=False,  # noqa: S701 - Markdown, of our own words and figures alone
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("security.md.j2").render(
        card=card,
        kills=kills,
        command=command(card),
        seeds=seeds(card),
        rows=len({result["row"] for result in card["results"]}),
        verdicts=Counter(result["verdict"] for result in card["results"]),
        thinnest=thinnest(card, THINNEST),
        table=table(card),
        number=number,
        promises=PROMISES,
        non_goals=NON_GOALS,
        seen=seen,
        fields=list(fields()),
        clients=CLIENTS,
        dim=DIM,
        bits=BITS,
        key=KEY,
        signature=SIGNATURE,
        digest=DIGEST,
        he_degree=max(SECURE_BITS),
        he_bits=SECURE_BITS[max(SECURE_BITS)],
    )
    return text.strip() + "\n"


def made(results: Path) -> str:
    """Return the page for published results.

    Raises:
        ConfigError: If there is no scorecard.
    """
    kills = results / "kill_rate.json"
    known = json.loads(kills.read_text(encoding="utf-8")) if kills.exists() else None
    return security(scorecard.read(results / "scorecard.json"), known)


def write(results: Path, page: Path) -> None:
    """Write the page.

    Raises:
        ConfigError: If there is no scorecard, or the page cannot be written.
    """
    text = made(results)
    try:
        page.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{page} cannot be written: {error.strerror}") from error


def check(results: Path, page: Path) -> None:
    """Compare the page with what would be made.

    Raises:
        ConfigError: If there is no scorecard or no page.
        VerificationError: If they differ; the first line that does is named.
    """
    expected = made(results).splitlines()
    try:
        found = page.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"{page} cannot be read: {error.strerror}") from error
    if found == expected:
        return
    line = next((at for at, pair in enumerate(zip(found, expected, strict=False)) if pair[0] != pair[1]), len(found))
    raise VerificationError(
        "it is not what promises and results make; 'securefed threats doc' writes it", where=f"{page}:{line + 1}"
    )
