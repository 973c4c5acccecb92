"""Addresses of pages: joined as links are, and as the key that pages are looked up by."""

from __future__ import annotations

import re
from urllib.parse import quote, urljoin, urlsplit

_WEB = ("http", "https")
_NO_PAGE = re.compile(r"(?!https?:|file:)[a-z][a-z0-9+.-]*:(?!//)", re.I)  # mailto:, javascript:, tel:, data:
_SAFE = "/%:@!$&'()*+,;=~"
_PORTS = {"http": 80, "https": 443}


def resolve(base: str, href: str) -> str:
    """Where a link leads that stands on the page `base`; empty where it leads to no other page.

    `base` may be an address of the web, a file's or object store's URI, or a path; what is relative to these stays so.
    """
    href = href.strip()
    if not href or href.startswith("#") or _NO_PAGE.match(href):
        return ""
    scheme, mark, rest = base.partition("://")
    try:
        if not mark or scheme in _WEB or "://" in href:
            return urljoin(base, href)
        return scheme + urljoin(f"http://{rest}", href).removeprefix("http")  # urljoin knows no s3://
    except ValueError:  # a bracket that is no IPv6 address
        return ""


def on_the_web(url: str) -> bool:
    """Whether it is an http(s) address with a host."""
    return url.partition("://")[0] in _WEB and bool(host(url))


def host(url: str) -> str:
    """The host without `www.`; empty where there is none."""
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:
        return ""


def key(url: str) -> str:
    """What a page is looked up by, such as `example.org/a?b=1`: without scheme, fragment and default port.

    The query stays as it is, and so does `www.`. Empty where the address is none.
    """
    try:
        parts = urlsplit(url)
        name, port = parts.hostname or "", parts.port
    except ValueError:  # a port that is no number
        return ""
    if port and port != _PORTS.get(parts.scheme):
        name = f"{name}:{port}"
    path = quote(parts.path or ("/" if name else ""), safe=_SAFE)
    return f"{name}{path}?{quote(parts.query, safe=_SAFE + '?')}" if parts.query else f"{name}{path}"
