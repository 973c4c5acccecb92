"""`pairmill explore`: serve a storage's runs until stopped."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Callable

import uvicorn

from pairmill.errors import PairmillError, SpecError
from pairmill.explore.access import Access
from pairmill.explore.app import application
from pairmill.objects import is_remote, local_path
from pairmill.runs.storage import open_storage

BACKLOG = 128
SHORTEST_TOKEN = 8


def serve(storage_uri: str, host: str, port: int, token: str | None, say: Callable[[str], None]) -> None:
    """Serve until the process is told to stop. `say` gets the address to open. Raises what `prepare` raises."""
    server, listening, address = prepare(storage_uri, host, port, token)
    say(f"{storage_uri} at {address}  (Ctrl+C stops)")
    server.run(sockets=[listening])


def prepare(storage_uri: str, host: str, port: int, token: str | None) -> tuple[uvicorn.Server, socket.socket, str]:
    """The server, the socket that it will answer on, and the address to open.

    Beyond this machine a token is asked for; where none is given, one is made. Raises SpecError: no such storage;
    PairmillError: the port is taken.
    """
    if not is_remote(storage_uri) and not local_path(storage_uri).is_dir():
        raise SpecError(f"{storage_uri}: there is no such storage. Name the --storage that `pairmill run` used.")
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise SpecError(f"--token: give at least {SHORTEST_TOKEN} characters, or none: one is made where it is needed.")
    listening = _listen(host, port)
    token = token or (None if is_local(host) else secrets.token_urlsafe(24))
    own = listening.getsockname()[1]
    app = Access(application(open_storage(storage_uri), originals=is_local(host)), token, own)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, lifespan="off", timeout_graceful_shutdown=2
    )
    name = f"[{host}]" if ":" in host else host
    return uvicorn.Server(config), listening, f"http://{name}:{own}/{f'?token={token}' if token else ''}"


def is_local(host: str) -> bool:
    """Whether only this machine can reach a server on this address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        raise PairmillError(f"--host {host} --port {port}: {error.strerror or error}. Name another port.") from error
    return listening
