"""The broker that `schedy up` uses: the configured one, the private node of the data folder, or one that is there."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from schedy.errors import AuthenticationError, BrokerError, SchedyError
from schedy.settings import ENVIRONMENT_PREFIX, Settings
from schedy.urls import without_password
from schedy.wire import names
from schedy_broker_setup.connecting import address_behind, open_connection
from schedy_broker_setup.inspection import queue_state
from schedy_cli.up.ports import kept_ports
from schedy_cli.up.private_broker import Passwords


@dataclass(frozen=True)
class BrokerOptions:
    """The options of `schedy up` about the broker."""

    private: bool = False
    listen: str | None = None
    """The IP address of this machine on which other machines reach the broker."""
    port: int | None = None

    @property
    def want_private(self) -> bool:
        return self.private or self.listen is not None or self.port is not None


@dataclass(frozen=True)
class Choice:
    """The private node, or the broker of the settings; with what the user should know about it."""

    is_private: bool
    notes: tuple[str, ...] = ()


def choose_broker(settings: Settings, options: BrokerOptions, *, origin: str | None) -> Choice:
    """Choose the broker; `origin` is where its URL is configured, None if it is not.

    Raises SchedyError if other commands would not find what `up` starts, since they use the configured URL.
    """
    if origin is not None and not _is_own(settings, options):
        return _configured(settings, options, origin)
    if options.want_private or origin is not None:
        return Choice(is_private=True)
    if kept_ports(settings.data_dir) is not None:
        return Choice(is_private=True, notes=(_KEPT,))
    try:
        place = _answering(settings, private="`schedy up --private`")
    except AuthenticationError as error:
        return Choice(is_private=True, notes=(f"A private broker was started. {error.what}",))
    except BrokerError:
        return Choice(is_private=True)
    return Choice(is_private=False, notes=(f"The broker is the one that answers at {place}.",))


_KEPT = (
    "The broker is the private one of this data folder again, since it may hold messages. To use another, set"
    " SCHEDY_BROKER_URL to its URL."
)


def _configured(settings: Settings, options: BrokerOptions, origin: str) -> Choice:
    broker = without_password(settings.broker_url)
    if options.want_private:
        raise SchedyError(
            f"{origin} names the broker {broker}: commands here would use that one, and not find a private broker."
            f" First: {removal_of(origin)}."
        )
    try:
        place = _answering(settings, private=f"{removal_of(origin)}, then `schedy up --private`")
    except BrokerError as error:
        remedy = "Correct the URL." if isinstance(error, AuthenticationError) else "Start it, or correct the URL."
        raise SchedyError(
            f"{error.what} {origin} names this broker. {remedy} For a private broker instead: {removal_of(origin)},"
            " then run `schedy up` again."
        ) from None
    notes = [f"The broker is the one at {place}, which {origin} names."]
    if kept_ports(settings.data_dir) is not None:
        notes.append(
            f"The private broker of this data folder is not started; it may hold messages. To use it instead:"
            f" {removal_of(origin)}, then `schedy down` and `schedy up`."
        )
    return Choice(is_private=False, notes=tuple(notes))


def removal_of(origin: str) -> str:
    """Return the instruction that removes a setting."""
    return f"`unset {origin}`" if origin.startswith(ENVIRONMENT_PREFIX) else f"remove {origin}"


def _is_own(settings: Settings, options: BrokerOptions) -> bool:
    """Return true if the configured URL is one that `schedy up` printed of this data folder's node."""
    kept = kept_ports(settings.data_dir)
    if kept is None or len(settings.broker_urls) > 1:
        return False
    parts = urlsplit(settings.broker_url)
    passwords = vars(Passwords.of(settings.data_dir)).values()
    return unquote(parts.password or "") in passwords and parts.port == (options.port or kept.amqp)


def _answering(settings: Settings, *, private: str) -> str:
    """Return the address of the configured broker if it answers; `private` starts another.

    Raises BrokerError if it does not answer, and SchedyError if it is in use.
    """
    with open_connection(settings.broker_url, purpose="up", tls=settings.broker_tls) as connection:
        place = address_behind(connection)
        if queue_state(connection, names.REPORTS_QUEUE).consumers:
            raise SchedyError(
                f"A results service already serves the broker at {place}, perhaps with another store. Use that one,"
                f" stop it, or start a broker of your own: {private}."
            )
        return str(place)
