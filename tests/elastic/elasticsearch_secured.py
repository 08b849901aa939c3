"""An Elasticsearch behind logins and TLS: its own authority, users who may do more or less, and their password."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from elasticsearch_distribution import Distribution
from elasticsearch_node import Node
from elasticsearch_server import Details, shared

PASSWORD: Final = "correct-horse-battery"
READING: Final = ("read", "view_index_metadata")
_NAME: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])


@dataclass(frozen=True)
class Secured:
    """Where it answers, who vouches for it, and its certificate's SHA-256 fingerprint."""

    url: str
    authority: Path
    fingerprint: str


@contextmanager
def secured_server(run: Path, users: Mapping[str, Mapping[str, Any]]) -> Iterator[Secured]:
    """The server behind a login, shared by a test run. `users` are names and the role of each; `admin` may everything.

    All have the same PASSWORD.

    Raises:
        NoServer: when there is none to be had.
    """

    def start(distribution: Distribution, lock: Path) -> Details:
        folder = distribution.folder / "secured"
        folder.mkdir()
        settings = {
            "discovery.type": "single-node",
            "xpack.security.enabled": True,
            "xpack.security.http.ssl.enabled": True,
            "xpack.security.http.ssl.certificate": "server.pem",
            "xpack.security.http.ssl.key": "server.key",
        }
        node = Node(distribution, folder, settings, lock, whole=distribution.folder)
        node.configure()
        config = folder / "config"
        fingerprint = _write_certificates(config)
        (config / "roles.yml").write_text("".join(f"{name}: {json.dumps(role)}\n" for name, role in users.items()))
        distribution.give(folder)
        node.tool("elasticsearch-users", "useradd", "admin", "-p", PASSWORD, "-r", "superuser")
        _, _, hashed = (config / "users").read_text().strip().partition(":")
        (config / "users").write_text("".join(f"{name}:{hashed}\n" for name in ("admin", *users)))
        (config / "users_roles").write_text("superuser:admin\n" + "".join(f"{name}:{name}\n" for name in users))
        node.start()
        node.wait(authority=config / "authority.pem", login=("admin", PASSWORD))
        return {"url": node.url, "authority": str(config / "authority.pem"), "fingerprint": fingerprint}

    with shared(run, "secured", start) as found:
        yield Secured(found["url"], Path(found["authority"]), found["fingerprint"])


def _write_certificates(folder: Path) -> str:
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    (folder / "authority.pem").write_bytes(_pem(_certificate(authority, authority, ca=True)))
    certificate = _certificate(server, authority, ca=False)
    (folder / "server.pem").write_bytes(_pem(certificate))
    (folder / "server.key").write_bytes(
        server.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate.fingerprint(hashes.SHA256()).hex()


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _certificate(key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey, *, ca: bool) -> x509.Certificate:
    now = datetime.now(UTC)
    subject = _NAME if ca else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server of a test")])
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
         "decipher_only"), False,
    )  # fmt: skip
    hosts = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(key_cert_sign=ca, crl_sign=ca, digital_signature=not ca, **usage), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .sign(signer, hashes.SHA256())
    )
