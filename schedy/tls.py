"""TLS to the broker: which certificates are used, and what it means when the handshake fails."""

import ssl
from pathlib import Path

from schedy.errors import SettingsError
from schedy.settings import TlsFiles


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """Return what a connection is made with: TLS 1.2 at least, certificate and host name of the broker verified.

    Without a `ca_file` the system's authorities count, or those that SSL_CERT_FILE names. Raises SettingsError for
    a file that cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=files.ca_file)
    except (OSError, ValueError) as error:
        raise _unusable("broker_ca_file", files.ca_file, error, "certificates in PEM format") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.cert_file is not None:
        _load_own_certificate(context, files.cert_file, files.key_file)
    return context


def _load_own_certificate(context: ssl.SSLContext, cert_file: Path, key_file: Path | None) -> None:
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
    reason = error.strerror if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else None
    said = f"cannot be read: {reason}." if reason else f"is unusable ({error}). It must hold {wanted}."
    return SettingsError(f"The setting {name} (SCHEDY_{name.upper()}): {path} {said}")


_ALERTS = (
    (
        ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE"),
        "The broker at {place} wants a client certificate ({said}).",
        "Name one that its authority has signed, and its key, in SCHEDY_BROKER_CERT_FILE and SCHEDY_BROKER_KEY_FILE.",
    ),
    (
        ("ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "ALERT_CERTIFICATE", "ALERT_UNSUPPORTED_CERTIFICATE"),
        "The broker at {place} does not accept our client certificate ({said}).",
        "SCHEDY_BROKER_CERT_FILE must be a certificate for clients, in date, signed by an authority in the broker's"
        " ssl_options.cacertfile.",
    ),
    (
        ("Hostname mismatch", "IP address mismatch"),
        "The certificate of the broker at {place} is another host's ({said}).",
        "Write the host in SCHEDY_BROKER_URL as it is in the certificate, or have one made for this host.",
    ),
    (
        ("CERTIFICATE_VERIFY_FAILED",),
        "The certificate of the broker at {place} is not trusted ({said}).",
        "Name the authority that signed it: SCHEDY_BROKER_CA_FILE=/path/to/ca.pem.",
    ),
    (
        ("[SSL", "SSL:"),
        "No TLS connection to the broker at {place} ({said}).",
        "amqps:// needs the broker's TLS port, usually 5671; for the plain one, usually 5672, write amqp://.",
    ),
)
"""Words in OpenSSL's text, what they mean, and what to do; the first match counts."""


def tls_fault(text: str, place: str) -> tuple[str, str] | None:
    """Return what happened and what to do, if the text of an error is about TLS."""
    for words, what, remedy in _ALERTS:
        if any(word in text for word in words):
            return what.format(place=place, said=_said(text)), remedy
    return None


def _said(text: str) -> str:
    """OpenSSL's words without its codes and line numbers."""
    begin = text.find("[SSL")
    words = text[begin:].partition("] ")[2] if begin >= 0 else text
    return words.partition(" (_ssl.c")[0].removeprefix("certificate verify failed: ").rstrip(".")
