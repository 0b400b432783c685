"""TLS to the broker: the certificates to use, and explanations of a failed handshake.

`ssl` is imported where it is needed: it loads slowly, and without amqps:// nobody needs it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from schedy.errors import SettingsError

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Certificate files for amqps://: the authorities to trust, and the client's own certificate and key."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.ca_file or self.cert_file or self.key_file)


NO_TLS_FILES = TlsFiles()
"""Trusts the system's authorities and shows no client certificate."""


def tls_context(files: TlsFiles) -> "ssl.SSLContext":
    """Return the context of a connection: TLS 1.2 or later, certificate and host name of the broker verified.

    Without a `ca_file` it trusts the system's authorities, or those that SSL_CERT_FILE names. Raises SettingsError
    for a file that cannot be used.
    """
    import ssl  # noqa: PLC0415 - see the docstring of the module

    try:
        context = ssl.create_default_context(cafile=files.ca_file)
    except (OSError, ValueError) as error:
        raise _unusable("broker_ca_file", files.ca_file, error, "certificates in PEM format") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.cert_file is not None:
        _load_client_certificate(context, files.cert_file, files.key_file)
    return context


def _load_client_certificate(context: "ssl.SSLContext", cert_file: Path, key_file: Path | None) -> None:
    for name, path in (("broker_cert_file", cert_file), ("broker_key_file", key_file)):
        try:
            if path is not None:
                path.read_bytes()
        except OSError as error:
            raise _unusable(name, path, error, "") from None
    try:
        context.load_cert_chain(cert_file, key_file, password="")  # asks for no passphrase
    except (OSError, ValueError) as error:
        wanted = "a certificate in PEM format, with its key without a passphrase in broker_key_file or behind it"
        raise _unusable("broker_cert_file", cert_file, error, wanted) from None


def _unusable(name: str, path: Path | None, error: Exception, wanted: str) -> SettingsError:
    import ssl  # noqa: PLC0415 - see the docstring of the module

    reason = error.strerror if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else None
    fault = f"cannot be read: {reason}." if reason else f"cannot be used ({error}). It must hold {wanted}."
    return SettingsError(f"The setting {name} (SCHEDY_{name.upper()}): {path} {fault}")


_FAULTS = (
    (
        ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE"),
        "RabbitMQ at {place} requires a client certificate ({reason}).",
        "Set SCHEDY_BROKER_CERT_FILE and SCHEDY_BROKER_KEY_FILE to a certificate that RabbitMQ trusts, and its key.",
    ),
    (
        ("ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "ALERT_CERTIFICATE", "ALERT_UNSUPPORTED_CERTIFICATE"),
        "RabbitMQ at {place} does not accept the client certificate ({reason}).",
        "SCHEDY_BROKER_CERT_FILE must be a valid client certificate, signed by an authority in the broker's"
        " ssl_options.cacertfile.",
    ),
    (
        ("Hostname mismatch", "IP address mismatch"),
        "The certificate of RabbitMQ at {place} is for another host ({reason}).",
        "Use the host name in the certificate in SCHEDY_BROKER_URL, or issue a certificate for this host.",
    ),
    (
        ("CERTIFICATE_VERIFY_FAILED",),
        "The certificate of RabbitMQ at {place} is not trusted ({reason}).",
        "Set SCHEDY_BROKER_CA_FILE to the certificate of the authority that signed it.",
    ),
    (
        ("[SSL", "SSL:"),
        "No TLS connection to RabbitMQ at {place} ({reason}).",
        "amqps:// needs the broker's TLS port, usually 5671; for the plain port, usually 5672, write amqp://.",
    ),
)
"""Words in OpenSSL's text, what happened, and what to do about it; the first match counts."""


def tls_fault(text: str, place: str) -> tuple[str, str] | None:
    """Return what happened and what to do about it if the text of an error is about TLS."""
    for words, what, remedy in _FAULTS:
        if any(word in text for word in words):
            return what.format(place=place, reason=_reason(text)), remedy
    return None


def _reason(text: str) -> str:
    """Return OpenSSL's words without its codes and line numbers."""
    begin = text.find("[SSL")
    words = text[begin:].partition("] ")[2] if begin >= 0 else text
    return words.partition(" (_ssl.c")[0].removeprefix("certificate verify failed: ").rstrip(".")
