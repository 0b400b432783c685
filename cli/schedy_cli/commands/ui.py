"""`schedy ui`."""

import contextlib
import ipaddress

import click

from schedy.errors import MissingPackageError
from schedy.settings import Settings
from schedy_cli.context import has_store, settings_of
from schedy_cli.printing.messages import print_message

_LOOPBACK = "127.0.0.1"


@click.command("ui", epilog="Example: schedy ui --port 8300")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the pages (default: 8270, or the next free one).")
@click.option("--listen", default=_LOOPBACK, metavar="ADDRESS", help="IP address to listen on (default: this machine).")
@click.option("--prefix", default="", metavar="PATH", help="Path of the pages behind a proxy, such as /schedy.")
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME", help="Answer to this host name, too.")
@click.option("--read-only", is_flag=True, help="Let nobody change anything.")
@click.option("--new-tokens", is_flag=True, help="Make new tokens; old links and sessions end.")
@click.option("--quiet", is_flag=True, help="Print no links.")
@click.pass_context
def ui_command(
    ctx: click.Context,
    *,
    port: int | None,
    listen: str,
    prefix: str,
    hosts: tuple[str, ...],
    read_only: bool,
    new_tokens: bool,
    quiet: bool,
) -> None:
    """Serve the web pages, until Ctrl-C or SIGTERM.

    They read the store of this machine, or the one that the settings name, and send changes over the broker. Two links
    are printed: one to watch, and one to operate, which may pause, cancel, retry, push and remove.
    """
    settings = settings_of(ctx)
    _check(settings, listen, prefix)
    try:
        from schedy_store.schema.engine import Store  # noqa: PLC0415 - only this command serves pages
        from schedy_web.app import make_app  # noqa: PLC0415
        from schedy_web.security import Access  # noqa: PLC0415
        from schedy_web.serve import PagesServer, Place  # noqa: PLC0415
        from schedy_web.serve import listen as listen_on  # noqa: PLC0415
        from schedy_web.tokens import TOKENS_FILE, Tokens  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"The pages need a package that is not installed ({error.name}): pip install 'schedy-mq[web]'"
        ) from None
    with contextlib.closing(Store.open(settings.effective_store_url, read_only=True)) as store:
        store.check_schema()
        with contextlib.closing(listen_on(listen, port)) as listener:
            place = Place(listen, listener.getsockname()[1])
            tokens = Tokens.kept(settings.data_dir / TOKENS_FILE, renew=new_tokens)
            prefix = f"/{prefix.strip('/')}" if prefix.strip("/") else ""
            access = Access(tokens, place.port, prefix, [*hosts, listen], read_only)

            def _announce() -> None:
                if quiet:
                    return
                click.echo(f"Watch    {place.link(prefix, tokens.watch)}   (looks, changes nothing)")
                if not read_only:
                    click.echo(
                        f"Operate  {place.link(prefix, tokens.operate)}   (may pause, cancel, retry, push, remove)"
                    )

            PagesServer(make_app(settings, store, access), _announce).run(sockets=[listener])


def _check(settings: Settings, listen: str, prefix: str) -> None:
    """Raise click.UsageError for what cannot be served; warn of an address that others reach."""
    try:
        address = ipaddress.ip_address(listen)
    except ValueError:
        raise click.UsageError(f"--listen takes an IP address of this machine, not {listen!r}.") from None
    if any(letter in prefix for letter in "?#\\ "):
        raise click.UsageError(f"--prefix takes a path such as /schedy, not {prefix!r}.")
    if not has_store(settings):
        raise click.ClickException(
            "There is no store here. Run `schedy ui` on the machine of `schedy up`, or set SCHEDY_STORE_URL."
        )
    if not address.is_loopback:
        print_message(
            f"The pages listen on {listen}: links with their tokens go over the network in the clear, unless a proxy"
            " speaks TLS."
        )
