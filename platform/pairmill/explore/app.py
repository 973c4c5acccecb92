"""The application: routes, and how a question is asked of the database.

A page is made by a plain function in a thread. Meanwhile the event loop watches the reader's connection: where it is
closed, or after SECONDS, the question is given up, and with it the query that is running. At most ANSWERS pages are
made at a time, and DOWNLOADS files sent; others wait their turn, or are asked to come back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from pairmill.errors import PairmillError, SpecError
from pairmill.explore import links, pages
from pairmill.explore.contents import contents
from pairmill.explore.database import Database, GivenUp, Question
from pairmill.explore.download import FORMS, download
from pairmill.explore.rows import Counts
from pairmill.report.templating import template
from pairmill.runs.storage import Storage

SECONDS = 60.0
WATCH_SECONDS = 0.2
ANSWERS = 4
DOWNLOADS = 4
#: A report may run its own script, and nothing else: it is a page of its own, apart from the explorer.
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
Work = Callable[[Request, Question], Response]


class Explorer:
    """The pages over one storage. `originals`: rows' records may be read again from the files they came from."""

    def __init__(self, storage: Storage, originals: bool):
        self.storage, self.database, self.counts = storage, Database(storage), Counts()
        self.originals = originals
        self._answers, self._downloads = asyncio.Semaphore(ANSWERS), asyncio.Semaphore(DOWNLOADS)

    def routes(self) -> list[Route]:
        made: dict[str, Work] = {
            "/": self.runs,
            "/runs/{run}": self.run,
            "/runs/{run}/rows": self.rows,
            "/runs/{run}/row": self.row,
            "/runs/{run}/threshold": self.threshold,
            "/runs/{run}/report": self.report,
        }
        return [
            *[Route(path, self._answering(work)) for path, work in made.items()],
            Route("/runs/{run}/download.{form}", self.download),
            Route("/style.css", style),
        ]

    def runs(self, request: Request, asked: Question) -> Response:
        return page("runs", pages.runs(self.storage, request.query_params))

    def run(self, request: Request, asked: Question) -> Response:
        return page("run", pages.run(self._contents(request)))

    def rows(self, request: Request, asked: Question) -> Response:
        return page(
            "rows", pages.rows(self.database, asked, self.counts, self._contents(request), request.query_params)
        )

    def row(self, request: Request, asked: Question) -> Response:
        found = self._contents(request)
        return page("row", pages.row(self.database, asked, found, request.query_params, self.originals))

    def threshold(self, request: Request, asked: Question) -> Response:
        return page("threshold", pages.threshold(self.database, asked, self._contents(request), request.query_params))

    def report(self, request: Request, asked: Question) -> Response:
        run = self._contents(request).run
        html = run.storage.get(run.path("report.html"))
        if html is None:
            raise SpecError(f"run {run.id} has no report yet: a run gets it when it is finished.")
        return HTMLResponse(html, headers={"Content-Security-Policy": REPORT_POLICY})

    async def download(self, request: Request) -> Response:
        """A file of rows, sent as it is made."""
        if self._downloads.locked():
            return PlainTextResponse("Too many downloads are running. Try again soon.\n", 503, {"Retry-After": "10"})
        await self._downloads.acquire()
        asked = self.database.question()
        try:
            name, media, chunks = await run_in_threadpool(self._download, request, asked)
            first = await run_in_threadpool(next, chunks, b"")
        except PairmillError as error:
            self._finished(asked)
            return failure(error)
        except BaseException:
            self._finished(asked)
            raise
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(self._sent(asked, first, chunks), media_type=media, headers=headers)

    def _download(self, request: Request, asked: Question) -> tuple[str, str, Iterator[bytes]]:
        form = request.path_params["form"]
        if form not in FORMS:
            raise SpecError(f"download.{form[:20]}: no such format. Allowed: {', '.join(FORMS)}.")
        found, filters = self._contents(request), pages.filters_of(request.query_params)
        name = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in found.run.id)
        chunks = download(self.database, asked, found, filters, form)
        return f"{name}-{filters.part}.{form}", FORMS[form][1], chunks

    async def _sent(self, asked: Question, first: bytes, chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
        try:
            chunk: bytes | None = first
            while chunk is not None:
                yield chunk
                work = asyncio.ensure_future(run_in_threadpool(next, chunks, None))
                work.add_done_callback(lambda done: done.cancelled() or done.exception())
                chunk = await asyncio.shield(work)
        finally:
            self._finished(asked)

    def _finished(self, asked: Question) -> None:
        asked.give_up("the reader went away")
        self._downloads.release()

    def _contents(self, request: Request) -> Any:
        return contents(self.storage.uri, request.path_params["run"])

    def _answering(self, work: Work) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            async with self._answers:
                if await request.is_disconnected():
                    return PlainTextResponse("", 499)
                asked = self.database.question()
                making = asyncio.ensure_future(run_in_threadpool(answer, work, request, asked))
                await self._watch(request, asked, making)
                return making.result()

        return endpoint

    async def _watch(self, request: Request, asked: Question, making: asyncio.Future[Response]) -> None:
        """Wait for the page; give the question up where nobody waits for it, or it takes too long."""
        deadline = asyncio.get_running_loop().time() + SECONDS
        while not (await asyncio.wait({making}, timeout=WATCH_SECONDS))[0]:
            if await request.is_disconnected():
                asked.give_up("the reader went away")
            elif asyncio.get_running_loop().time() > deadline:
                asked.give_up(f"This view takes more than {SECONDS:.0f} seconds. Narrow the filters.")


def application(storage: Storage, originals: bool) -> Starlette:
    """The explorer of a storage; `access.Access` goes around it."""
    return Starlette(routes=Explorer(storage, originals).routes(), exception_handlers={404: missing})


def answer(work: Work, request: Request, asked: Question) -> Response:
    """A page, or one that says why there is none."""
    try:
        return work(request, asked)
    except PairmillError as error:
        return failure(error)
    except Exception:
        logging.getLogger("pairmill.explore").exception("%s", request.url.path)
        return page("problem", {"problem": "A defect of Pairmill: the server's log has the details."}, 500)
    finally:
        asked.close()


def failure(error: PairmillError) -> Response:
    status = 503 if isinstance(error, GivenUp) else 404 if isinstance(error, SpecError) else 500
    return page("problem", {"problem": str(error)}, status)


def missing(request: Request, error: Exception) -> Response:
    return page("problem", {"problem": "There is no such page."}, 404)


def page(name: str, view: dict[str, Any], status: int = 200) -> Response:
    html = template(f"explore/{name}.html.j2").render(view, url=links.url, attribute=links.attribute)
    return HTMLResponse(html.encode("utf-8", "replace"), status)


async def style(request: Request) -> Response:
    return Response(sheet(), media_type="text/css", headers={"Cache-Control": "max-age=3600"})


@lru_cache(maxsize=1)
def sheet() -> str:
    folder = files("pairmill.report").joinpath("templates")
    return folder.joinpath("style.css").read_text("utf-8") + folder.joinpath("explore", "explore.css").read_text(
        "utf-8"
    )
