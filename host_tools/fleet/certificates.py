"""An authority for one broker and the broker's certificate, on P-256: small and quick enough for a panel."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from host_tools.errors import Usage

_AUTHORITY_DAYS = 20 * 365
_BROKER_DAYS = 5 * 365
_RENEW_DAYS = 365
MOST_DER = 1900  # what a panel takes (firmware/link/ops.py)


@dataclass(frozen=True)
class Issued:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def key_pem(self) -> str:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()


def authority(name: str) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    builder = _builder(subject, subject, key, _AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs=True), critical=True)
    return Issued(builder.sign(key, hashes.SHA256()), key)


def of_broker(host: str, signer: Issued) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name(host), signer.certificate.subject, key, _BROKER_DAYS)
    builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(host)]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return Issued(builder.sign(signer.key, hashes.SHA256()), key)


def still_good(certificate: x509.Certificate, host: str, signer: Issued) -> bool:
    """Whether the broker's certificate names this host, is the authority's, and lasts for another year."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        certificate.verify_directly_issued_by(signer.certificate)
    except (x509.ExtensionNotFound, ValueError, TypeError):
        return False
    lasts = certificate.not_valid_after_utc - datetime.now(timezone.utc) > timedelta(days=_RENEW_DAYS)
    return lasts and _alternative(host) in list(names)


def load(certificate: Path, key: Path) -> Issued | None:
    """None where there is none yet. Raises Usage."""
    if not certificate.exists() and not key.exists():
        return None
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), None)
        public = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise Usage(f"{certificate} and {key} cannot be read. Move them away to have new ones made.") from error
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise Usage(f"{key} is no key on P-256. Move it away to have a new one made.")
    return Issued(public, private)


def der(pem: str, where: str = "The certificate") -> bytes:
    """As a panel takes it. Raises Usage."""
    try:
        data = x509.load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.DER)
    except ValueError as error:
        raise Usage(f"{where} is no certificate in PEM.") from error
    if len(data) > MOST_DER:
        raise Usage(f"{where} has {len(data)} bytes; a panel takes {MOST_DER}. Use an authority on P-256.")
    return data


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(timezone.utc)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + timedelta(days=days),
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )
