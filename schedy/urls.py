"""URLs of brokers and databases: lists of them, those that cannot be used, and passwords to hide."""

import re
from collections.abc import Collection
from urllib.parse import SplitResult, unquote, urlsplit

BROKER_URL_FORM = (
    "amqp://USER:PASSWORD@HOST:5672/VHOST (amqps:// for TLS), with %2F for the vhost / and %XX for characters like"
    " @ : / ? # in the password; several URLs with commas between them"
)

_PASSWORD = re.compile(r"^([^:/]+://[^:@/]*):.*@", re.DOTALL)
_PARAMETER = re.compile(r"([?&])([^=&]*)=[^&]*")
_PASSWORD_NAME = re.compile("password|passwd|passphrase|pwd", re.IGNORECASE)
_NEXT_URL = re.compile(r"\s*,\s*(?=amqps?://)")


def split_urls(urls: str) -> tuple[str, ...]:
    """Split broker URLs at each comma that another URL follows; a password may hold other commas."""
    return tuple(_NEXT_URL.split(urls.strip()))


def checked_url(url: str, *, schemes: Collection[str] = ("amqp", "amqps")) -> SplitResult:
    """Split a URL with user and password. Raises ValueError, which does not repeat the URL, if it cannot be used.

    A `/`, `?` or `#` in the password ends the host too early; an `@` after that gives it away. Without this check a
    part of the password would be taken for the host and shown in messages.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("it cannot be parsed") from None
    if parts.scheme not in schemes:
        raise ValueError("its scheme is none of " + ", ".join(schemes))
    if not parts.hostname or "," in parts.hostname or port == 0:
        raise ValueError("it has no host or port that can be used")
    if "@" in parts.path + parts.query + parts.fragment:
        raise ValueError("it has an @ after the host")
    if parts.username and parts.password is None:
        raise ValueError("it has a user, but no password")
    return parts


def without_password(urls: str) -> str:
    """Return a URL, or several with commas between them, for logs and messages: without the passwords.

    A password may hold any character, even `/` and `@`. One in the query (`?password=`) is hidden, too.
    """
    hidden = (_PARAMETER.sub(_hidden_parameter, url) for url in split_urls(urls))
    return ", ".join(_PASSWORD.sub(r"\1@", url) for url in hidden)


def _hidden_parameter(parameter: re.Match[str]) -> str:
    is_password = _PASSWORD_NAME.search(unquote(parameter[2]))  # libraries decode the names as well
    return f"{parameter[1]}{parameter[2]}=***" if is_password else parameter[0]
