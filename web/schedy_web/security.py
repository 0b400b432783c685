"""Who may ask for what: hosts, tokens and cookies, guards of changes, and the headers of every answer.

Pure ASGI. No answer has a CORS header: pages of other origins can neither read nor change anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schedy_web.problems import problem
from schedy_web.tokens import Role, Tokens, cookie_of

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_READING = ("GET", "HEAD")
_HEADERS = {
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        b" base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cache-control": b"no-store",
}
"""Of every answer that does not say otherwise; a 304 stands for one that had them."""
_NOT_MODIFIED = 304


@dataclass(frozen=True)
class Access:
    """What the server allows. `port` is in the cookie's name, since cookies know no ports."""

    tokens: Tokens
    port: int
    prefix: str = ""
    hosts: Sequence[str] = ()
    read_only: bool = False

    @property
    def cookie(self) -> str:
        return f"schedy-{self.port}"


class Guard:
    """Lets in what may come in, and sets `scope["role"]`."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = self._without_prefix(scope)
        response = self._refusal(scope)
        await (response or self._app)(scope, receive, _with_headers(send))

    def _without_prefix(self, scope: Scope) -> Scope:
        """Return the scope of the address at the root: a proxy may strip the prefix or leave it."""
        path, prefix = scope["path"], self._access.prefix
        if prefix and (path == prefix or path.startswith(prefix + "/")):
            return {**scope, "path": path[len(prefix) :] or "/"}
        return {**scope}

    def _refusal(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        if not self._is_our_host(headers.get("host", "")):
            return PlainTextResponse(
                "This server does not answer to that host name. Start `schedy ui` with --allow-host NAME.\n", 421
            )
        if path == "/healthz" or path.startswith("/static/"):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = dict(query).get("token")
        if given is not None and not path.startswith("/api/"):
            return self._entry(scope, headers, given, [pair for pair in query if pair[0] != "token"])
        role = self._role(headers)
        scope["role"] = role
        if path.startswith("/api/"):
            return self._refused_api(scope, headers, role)
        return None

    def _is_our_host(self, host: str) -> bool:
        """Compare without the port; that stops pages whose name was pointed at this machine (DNS rebinding)."""
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        name = name.strip("[]").lower()
        return name in _LOOPBACK or name in [each.strip("[]").lower() for each in self._access.hosts]

    def _entry(self, scope: Scope, headers: Headers, token: str, query: list[tuple[str, str]]) -> Response:
        """Exchange the token of a link for a cookie, so that it stays in no address."""
        path = "/" + scope["path"].lstrip("/")  # two slashes at the beginning would name another host
        target = self._access.prefix + path + (f"?{urlencode(query)}" if query else "")
        response = RedirectResponse(target, 303, headers={"cache-control": "no-store"})
        if self._access.tokens.role_of_token(token) is not None:
            response.set_cookie(
                self._access.cookie,
                cookie_of(token),
                max_age=365 * 86400,
                path=self._access.prefix or "/",
                httponly=True,
                samesite="lax",
                secure=headers.get("x-forwarded-proto", scope["scheme"]) == "https",
            )
        return response

    def _role(self, headers: Headers) -> Role | None:
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._access.tokens.role_of_token(bearer.strip())
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self._access.cookie)
        except CookieError:
            return None
        return None if cookie is None else self._access.tokens.role_of_cookie(cookie.value)

    def _refused_api(self, scope: Scope, headers: Headers, role: Role | None) -> Response | None:
        if role is None:
            return problem(
                401, "no_token", "A token is needed: open the link that `schedy ui` or `schedy status` prints."
            )
        if scope["method"] in _READING:
            return None
        if role != "operate" or self._access.read_only:
            return problem(403, "read_only", "This link may look and change nothing. Open the operate link.")
        if not _is_of_our_pages(headers):
            return problem(403, "foreign", "Changes come from these pages, or with X-Schedy: 1 and no foreign Origin.")
        return _refused_body(headers)


def _refused_body(headers: Headers) -> Response | None:
    if headers.get("content-type", "").split(";")[0].strip() != "application/json":
        return problem(400, "invalid", "A change is sent as application/json.")
    return None


def _is_of_our_pages(headers: Headers) -> bool:
    origin = headers.get("origin")
    host = headers.get("x-forwarded-host", headers.get("host", ""))
    is_same = origin is None or origin.split("://", 1)[-1] in (host, headers.get("host"))
    return headers.get("x-schedy") == "1" and headers.get("sec-fetch-site", "same-origin") == "same-origin" and is_same


def _with_headers(send: Send) -> Send:
    async def _send(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] != _NOT_MODIFIED:
            said = {name for name, _value in message["headers"]}
            message["headers"] = [*message["headers"], *(each for each in _HEADERS.items() if each[0] not in said)]
        await send(message)

    return _send
