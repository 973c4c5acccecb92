"""A job's log as it grows, through dropped connections and a job server that is away for a while.

The server sends the log from its beginning on every connection; what was printed before is skipped. A connection may
die without a word (a proxy, a sleeping laptop), so one that is silent for a minute is made anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from pairmill.cluster.job_server import Job, JobServer, Unreachable

SILENT_SECONDS = 60.0
PAUSE_SECONDS, RETRY_SECONDS = 0.3, 2.0
AWAY_SECONDS = 600.0


class Tail:
    """What of a job's log was printed, and the means to print what is new."""

    def __init__(self, server: JobServer, job_id: str, write: Callable[[str], None]):
        self._server, self._job_id, self._write = server, job_id, write
        self._seen = 0

    def read(self) -> None:
        """Print until the server closes the connection, or it is lost or silent."""
        import aiohttp

        try:
            asyncio.run(self._read())
        except (aiohttp.ClientError, asyncio.TimeoutError, RuntimeError, OSError):
            return  # whether there is more to come is the server's to say

    def rest(self) -> None:
        """Print what is new in the log of a job that ended."""
        self._take(0, self._server.logs(self._job_id))

    async def _read(self) -> None:
        at = 0
        stream = self._server.tail(self._job_id)
        try:
            while True:
                text = await asyncio.wait_for(anext(stream), SILENT_SECONDS)
                self._take(at, text)
                at += len(text)
        except StopAsyncIteration:
            return
        finally:
            await stream.aclose()

    def _take(self, at: int, text: str) -> None:
        """Print the part of `text`, which stands at character `at` of the log, that is new."""
        new = text[max(self._seen - at, 0) :]
        if new:
            self._write(new)
            self._seen = at + len(text)


def follow(server: JobServer, job_id: str, write: Callable[[str], None], say: Callable[[str], None]) -> Job:
    """Print a job's log until the job ends. Raises PairmillError where the cluster is away for ten minutes, or has
    forgotten the job."""
    tail = Tail(server, job_id, write)
    away: float | None = None
    while True:
        try:
            job = server.job(job_id)
            if away is not None:
                say("the cluster answers again")
            away = None
            if job.ended:
                tail.rest()
                return job
            tail.read()
            time.sleep(PAUSE_SECONDS)
        except Unreachable as error:
            if away is None:
                away = time.monotonic()
                say(
                    f"{error}\nIf the head is up, the job goes on meanwhile; trying again for "
                    f"{AWAY_SECONDS / 60:.0f} minutes"
                )
            elif time.monotonic() - away > AWAY_SECONDS:
                raise
            time.sleep(RETRY_SECONDS)
