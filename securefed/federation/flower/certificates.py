"""A throwaway certificate authority for one federation, and the keys that SuperNodes register with.

Where the machines' owners share an authority that they trust, use its certificates; these here prove only that the
server is the one whose ``ca.crt`` a client was given.
"""

from __future__ import annotations

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFE = timedelta(days=30)
"""Of the certificates."""


def authority(folder: Path, *, host: str = "localhost") -> None:
    """Write ``ca.crt``, ``server.crt`` and ``server.key`` for servers on the loopback address and at a host's.

    The authority's own key is never written: it signs one certificate and is forgotten.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    root, server = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())
    issuer = _name("securefed local authority")
    trusted = _certificate(issuer, issuer, root, root).add_extension(x509.BasicConstraints(True, 0), critical=True)
    names = {x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")), _place(host)}
    served = _certificate(_name("localhost"), issuer, server, root).add_extension(
        x509.SubjectAlternativeName(sorted(names, key=repr)), critical=False
    )
    for file, built in (("ca.crt", trusted), ("server.crt", served)):
        signed = built.sign(root, hashes.SHA384())
        (folder / file).write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    _private(folder / "server.key", server, serialization.PrivateFormat.PKCS8)


def node_key(path: Path) -> None:
    """Write a SuperNode's key, and beside it ``.pub``, which is registered with the SuperLink."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP384R1())
    _private(path, key, serialization.PrivateFormat.OpenSSH)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    path.with_suffix(".pub").write_bytes(public + b"\n")


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    start = datetime.now(UTC) - timedelta(minutes=5)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )


def _place(host: str) -> x509.GeneralName:
    """Return a host as certificates name it: by its address, or by its name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _private(path: Path, key: ec.EllipticCurvePrivateKey, form: serialization.PrivateFormat) -> None:
    content = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
