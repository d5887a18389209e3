"""What administrators of separate machines get with their kits: instructions, services, certificates, a proxy.

::

    KITS/clients/NAME/
      README.md                                            what to do, in order
      ca.crt                                               whom this client believes to be the server
      securefed-agent.service, securefed-supernode.service two users: the server's code never meets the client's data
    KITS/server/
      README.md
      tls/ca.crt, tls/server.crt, tls/server.key           the last is the server's alone
      app/                                                 the Flower app
      nginx.conf, securefed-superlink.service              the SuperLink on the loopback address, and the way in
    KITS/decryptor/                                        only if sums are encrypted
      README.md
      securefed-decryptor.service                          on the server's machine, as a user of its own
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self, final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from jinja2 import Environment, PackageLoader, StrictUndefined

from securefed.aggregation.encrypted_session import DECRYPTOR
from securefed.aggregation.identity import SERVER, Roster
from securefed.errors import ConfigError
from securefed.federation.flower import app, certificates
from securefed.federation.flower.quiet import QUIET
from securefed.federation.gate import ENCRYPTED
from securefed.plan import Plan

CALLS = (
    "activate-node",
    "deactivate-node",
    "send-node-heartbeat",
    "pull-messages",
    "push-messages",
    "pull-object",
    "push-object",
    "confirm-message-received",
    "get-run",
    "get-fab",
)
"""What a SuperNode with a registered key calls, below ``/v1/fleet/``. Registration is the control API's business."""

INNER = 18443
"""Port of the SuperLink, on the loopback address."""

PROGRAMS = "/opt/securefed/bin"
"""Where administrators install the programs."""

TLS = "/etc/securefed"
"""Where the server's certificates go."""

DECRYPTING = "/run/securefed-decryptor/decryptor.sock"
"""Where the decryptor listens, if sums are encrypted."""

_ADDRESS = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?):([0-9]{1,5})")


@final
@dataclass(frozen=True, slots=True)
class Address:
    """Where clients reach the server.

    Attributes:
        host: Name or address.
        port: Of nginx.
    """

    host: str
    port: int

    @classmethod
    def of(cls, text: str) -> Self:
        """Read ``HOST:PORT``.

        Raises:
            ConfigError: If it is something else.
        """
        found = _ADDRESS.fullmatch(text)
        if found is None or not 0 < int(found[2]) < 65536:
            raise ConfigError(f"{text!r} is no address; write HOST:PORT, for example superlink.example:443")
        return cls(found[1], int(found[2]))


def write(kits: Path, plan: Plan, task: str, roster: Roster, *, address: Address) -> None:
    """Add to each kit what its administrator needs.

    Args:
        kits: What :func:`securefed.federation.kits.write` has written.
        plan: What all of them will take part in.
        task: Name of the run.
        roster: Who is who.
        address: Where clients reach the server.
    """
    values = _values(plan, task, roster) | {"host": address.host, "port": address.port}
    home = kits / SERVER
    certificates.authority(home / "tls", host=address.host)
    trusted = x509.load_pem_x509_certificate((home / "tls" / "ca.crt").read_bytes())
    values["authority"] = trusted.fingerprint(hashes.SHA256()).hex(":").upper()
    values["ends"] = trusted.not_valid_after_utc.date()
    app.write(home / "app")
    _render(home, ("server.md", "nginx.conf", "superlink.service"), values)
    if values["decryptor"]:
        _render(kits / DECRYPTOR, ("decryptor.md", "decryptor.service"), values)
    for name in plan.cohort:
        own = kits / "clients" / name
        shutil.copy(home / "tls" / "ca.crt", own / "ca.crt")
        _render(own, ("client.md", "agent.service", "supernode.service"), values | {"name": name})


def render(template: str, values: Mapping[str, object]) -> str:
    """Return one of the templates, filled in; a value that is missing is an error, not a gap."""
    return _environment().get_template(f"{template}.j2").render(values)


def _values(plan: Plan, task: str, roster: Roster) -> dict[str, object]:
    return {
        "task": task,
        "clients": plan.cohort,
        "least": plan.threshold,
        "digest": plan.digest,
        "root": roster.root.hex(),
        "calls": CALLS,
        "inner": INNER,
        "programs": PROGRAMS,
        "tls": TLS,
        "quiet": QUIET,
        "decryptor": DECRYPTING if plan.secure in ENCRYPTED else "",
    }


def _render(home: Path, templates: tuple[str, ...], values: Mapping[str, object]) -> None:
    for template in templates:
        stem, kind = template.split(".")
        name = {"md": "README.md", "service": f"securefed-{template}"}.get(kind, f"{stem}.{kind}")
        (home / name).write_text(render(template, values), encoding="utf-8")


@cache
def _environment() -> Environment:
    return Environment(  # noqa: S701 - names in configuration are letters, digits, '.', '-' and '_'; a task's is in prose alone
        loader=PackageLoader("securefed.federation.flower"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
