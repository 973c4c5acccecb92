"""Who may ask, and what a browser may do with the answers. An ASGI wrapper around the application.

1. Without a token only this machine is served, and only under a name of it: a page elsewhere that has its own name lead
   to 127.0.0.1 (DNS rebinding) sends that name as Host, and is refused.
2. With a token, `?token=` of the first visit becomes a cookie and leaves the address bar; later requests show the
   cookie. Tokens are compared in constant time. A cookie belongs to one name, so rebinding gains nothing there.
3. Every answer forbids scripts, frames, and requests to any other place (Content-Security-Policy), guessing at content
   types and referrers. The application only answers GET and HEAD, so no other page can make it do anything.
"""

from __future__ import annotations

import secrets
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL = frozenset(("localhost", "127.0.0.1", "::1"))
COOKIE = "pairmill_explore"
POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
}


class Access:
    """Wraps an application. `token`: what readers must know; None: only this machine is served."""

    def __init__(self, app: ASGIApp, token: str | None, port: int = 0):
        self._app, self._token, self._cookie = app, token, f"{COOKIE}_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(Request(scope))
        await (self._app if refusal is None else refusal)(scope, receive, guarded)

    def _refusal(self, request: Request) -> Response | None:
        if self._token is None:
            if host_name(request.headers.get("host", "")) in LOCAL:
                return None
            return PlainTextResponse("This server answers to localhost and 127.0.0.1 only.\n", 421)
        given = request.query_params.get("token")
        if given is not None and _same(given, self._token):
            return self._welcome(request)
        if given is None and _same(request.cookies.get(self._cookie, ""), self._token):
            return None
        return PlainTextResponse("Open the address that `pairmill explore` printed: it holds the token.\n", 401)

    def _welcome(self, request: Request) -> Response:
        """To the same page without the token, which is a cookie from now on."""
        given = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        query = [pair for pair in given if pair[0] != "token"]
        path = "/" + request.scope["path"].lstrip("/")  # never //host
        answer = RedirectResponse(f"{path}?{urlencode(query)}" if query else path, 303)
        secure = request.scope["scheme"] == "https"
        answer.set_cookie(self._cookie, str(self._token), httponly=True, samesite="lax", secure=secure)
        return answer


def host_name(host: str) -> str:
    """The name of a Host header, without its port: `[::1]:80` is `::1`."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _same(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), token.encode())
