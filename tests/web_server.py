"""The web pages as tests ask for them: a server in a thread, and requests without a browser."""

import contextlib
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schedy.settings import Settings
from schedy_store.schema.engine import Store
from schedy_web.app import make_app
from schedy_web.security import Access
from schedy_web.serve import PagesServer, listen
from schedy_web.tokens import TOKENS_FILE, Tokens


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any) -> None:
        return None


@dataclass(frozen=True)
class Reply:
    """A status, headers with names in lower case, and a body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Pages:
    """A running server."""

    base: str
    port: int
    tokens: Tokens

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Reply:
        """Send a request; follows no redirect."""
        sent = {} if token is None else {"Authorization": f"Bearer {token}"}
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - our own server
            self.base + path, data=data, method=method, headers={**sent, **(headers or {})}
        )
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=20) as reply:
                return Reply(reply.status, _lower(reply.headers), reply.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return Reply(refused.code, _lower(refused.headers), refused.read())

    def get(self, address: str) -> Any:
        """Return the answer of the API to someone who may watch."""
        reply = self.ask(f"/api/v1/{address}", token=self.tokens.watch)
        assert reply.status == 200, (address, reply.status, reply.body)
        return reply.json

    def change(self, method: str, address: str, body: Any) -> Reply:
        """Send a change as the pages do, as someone who may operate."""
        headers = {"Content-Type": "application/json", "X-Schedy": "1"}
        return self.ask(f"/api/v1/{address}", method=method, token=self.tokens.operate, headers=headers, body=body)


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@contextlib.contextmanager
def serving(settings: Settings, *, prefix: str = "", read_only: bool = False) -> Iterator[Pages]:
    """Serve the pages of a store."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    tokens = Tokens.kept(settings.data_dir / TOKENS_FILE)
    is_serving = threading.Event()
    with (
        contextlib.closing(Store.open(settings.effective_store_url, read_only=True)) as store,
        contextlib.closing(listen("127.0.0.1", 0)) as listener,
    ):
        port = listener.getsockname()[1]
        access = Access(tokens, port, prefix, ["schedy.example.org"], read_only)
        server = PagesServer(make_app(settings, store, access), is_serving.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="pages")
        thread.start()
        try:
            assert is_serving.wait(20)
            yield Pages(f"http://127.0.0.1:{port}", port, tokens)
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()
