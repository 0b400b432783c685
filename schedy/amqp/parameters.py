"""The address of a broker: pika's parameters for a URL, and the part of them that may be shown."""

from dataclasses import dataclass
from urllib.parse import unquote

import pika
from pika.connection import Parameters

from schedy.errors import SettingsError
from schedy.tls import NO_TLS_FILES, TlsFiles, tls_context
from schedy.urls import BROKER_URL_FORM, checked_url


@dataclass(frozen=True, kw_only=True)
class Address:
    """A broker URL without its password."""

    host: str
    port: int
    vhost: str
    user: str
    tls: bool

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parameters_of(url: str, tls: TlsFiles = NO_TLS_FILES) -> pika.URLParameters:
    """Read a broker URL. Raises SettingsError, which does not repeat the URL, since it may hold a password."""
    try:
        path = checked_url(url).path[1:]
        parameters = pika.URLParameters(url)
        if "/" in path:  # pika takes what is before it, and nothing of //
            parameters.virtual_host = unquote(path)
    except (ValueError, TypeError) as error:
        raise SettingsError(
            f"The broker URL cannot be used: {error}. Set SCHEDY_BROKER_URL to {BROKER_URL_FORM}."
        ) from None
    if parameters.ssl_options is not None:
        parameters.ssl_options = pika.SSLOptions(tls_context(tls), parameters.host)
    return parameters


def address_of(parameters: Parameters) -> Address:
    """Return what may be shown of a connection's parameters."""
    return Address(
        host=parameters.host,
        port=parameters.port,
        vhost=parameters.virtual_host,
        user=str(getattr(parameters.credentials, "username", "")),
        tls=parameters.ssl_options is not None,
    )
