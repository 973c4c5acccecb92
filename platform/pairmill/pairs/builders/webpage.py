"""The page of a record, for the builders of web pages."""

from __future__ import annotations

from typing import Any

from pairmill.pairs.builders.base import WrongRecord, text
from pairmill.pairs.pages import charset, limits
from pairmill.pairs.pages.page import Page


def page_of(record: dict[str, Any], options: Any) -> Page:
    """The page of a record: bytes with the HTTP header's `charset`, or text. `options`: of `spec/page_builders.py`.

    Raises WrongRecord where the record has no HTML, or a page that is not read (see `pages/limits.py`).
    """
    data = record.get(options.html)
    if isinstance(data, bytes):
        limits.check_size(len(data))
        html = charset.decode(data, text(record, "charset") or None)
    elif isinstance(data, str):
        limits.check_size(len(data))
        html = limits.refuse_binary(data.encode("utf-8", "replace").decode())  # JSON can spell lone surrogates
    else:
        raise WrongRecord(f"{options.html}: {type(data).__name__} instead of a page")
    address = text(record, options.url) if options.url else ""
    lang = text(record, options.lang) if options.lang else ""
    return Page(html, address or None, lang or None, options.extractor)
