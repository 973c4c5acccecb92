"""The job server of a Ray cluster, through Ray's own client, and what to say when it does not answer.

Ray lets RAY_API_SERVER_ADDRESS and RAY_ADDRESS win over the address that its client is given; here the address given
wins. A token (RAY_AUTH_MODE=token with RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH) travels with every request.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from pairmill.errors import PairmillError, SpecError
from pairmill.variables import variable

ADDRESS = "RAY_API_SERVER_ADDRESS"
CONNECT_SECONDS = 10.0
#: States after which nothing happens any more.
ENDED = ("stopped", "succeeded", "failed")


class Unreachable(PairmillError):
    """The job server does not answer, or not sensibly. It may again in a moment."""


class AlreadyThere(PairmillError):
    """Another client submitted a job of this id first."""


@dataclass(frozen=True)
class Job:
    """A submitted job. `state`: pending, running, or one of ENDED; times in seconds since 1970."""

    id: str
    state: str
    exit_code: int | None
    message: str
    entrypoint: str
    started: float | None
    finished: float | None
    metadata: dict[str, str]

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def is_ours(self) -> bool:
        return "pairmill" in self.metadata

    def json(self) -> dict[str, Any]:
        return asdict(self)


class JobServer:
    """The job server at `http://HEAD:8265`. Every method raises PairmillError with what to do about it."""

    def __init__(self, address: str | None):
        """Connect. Raises SpecError for an address that is none, PairmillError where nobody answers."""
        self.address = _checked(address)
        with self._asking():
            _knock(self.address)
            from ray.job_submission import JobSubmissionClient

            for module in (
                "dashboard.modules.dashboard_sdk",
                "dashboard.modules.job.sdk",
                "_private.runtime_env.packaging",
            ):
                logging.getLogger(f"ray.{module}").setLevel(logging.WARNING)
            with variable(ADDRESS, self.address):
                self._client = JobSubmissionClient(self.address)

    def jobs(self) -> list[Job]:
        """All submitted jobs that the cluster remembers, oldest first."""
        with self._asking():
            found = [_job(details) for details in self._client.list_jobs() if details.submission_id]
        return sorted(found, key=lambda job: job.started or 0)

    def job(self, job_id: str) -> Job:
        with self._asking(job_id):
            return _job(self._client.get_job_info(job_id))

    def submit(self, job_id: str, entrypoint: str, runtime_env: dict[str, Any], metadata: dict[str, str]) -> None:
        """Upload what `runtime_env` names, and start the job. Raises AlreadyThere for an id that is taken."""
        with self._asking(job_id):
            self._client.submit_job(
                entrypoint=entrypoint, submission_id=job_id, runtime_env=runtime_env, metadata=metadata
            )

    def stop(self, job_id: str) -> None:
        """Send the job SIGTERM; SIGKILL follows where it has not ended after its RAY_JOB_STOP_WAIT_TIME_S."""
        with self._asking(job_id):
            self._client.stop_job(job_id)

    def logs(self, job_id: str) -> str:
        with self._asking(job_id):
            return self._client.get_job_logs(job_id)

    def tail(self, job_id: str) -> AsyncGenerator[str, None]:
        """The log from its beginning, as it grows, until the job ends. Raises what Ray and aiohttp raise."""
        stream: Any = self._client.tail_job_logs(job_id)
        return stream

    def node_addresses(self) -> list[str]:
        """The IP addresses of the nodes that are alive."""
        from ray.util.state import list_nodes

        with self._asking(), variable(ADDRESS, self.address):
            return [node.node_ip for node in list_nodes(address=self.address) if node.state == "ALIVE"]

    @contextmanager
    def _asking(self, job_id: str = "") -> Iterator[None]:
        """Errors of Ray's client as ours."""
        try:
            yield
        except PairmillError:
            raise
        except Exception as error:
            raise _told(self.address, job_id, error) from error


def _checked(address: str | None) -> str:
    found = (address or os.environ.get(ADDRESS) or "").rstrip("/")
    if not found:
        raise SpecError(
            f"--address is missing. Name the cluster's job server, such as http://HEAD:8265, or set {ADDRESS}."
        )
    if urlsplit(found).scheme not in ("http", "https") or not urlsplit(found).hostname:
        raise SpecError(
            f"--address {found}: not the address of a job server. Write http://HEAD:8265 (the dashboard's port; "
            "6379 and 10001 are for other clients)."
        )
    return found


def _knock(address: str) -> None:
    """Open and close a connection: Ray's client would wait for minutes for a host that does not answer."""
    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    socket.create_connection((parts.hostname or "", port), CONNECT_SECONDS).close()


def _job(details: Any) -> Job:
    return Job(
        id=details.submission_id,
        state=details.status.value.lower(),
        exit_code=details.driver_exit_code,
        message=details.message or "",
        entrypoint=details.entrypoint,
        started=details.start_time and details.start_time / 1000,
        finished=details.end_time and details.end_time / 1000,
        metadata=details.metadata or {},
    )


def _told(address: str, job_id: str, error: Exception) -> PairmillError:
    from ray.exceptions import AuthenticationError

    text = str(error)
    if isinstance(error, AuthenticationError):
        return PairmillError(f"{address}: {_about_token(text)}")
    if "already exists" in text and job_id:
        return AlreadyThere(f"{address}: there is a job {job_id} already. See `pairmill status {job_id}`.")
    if "status code 404" in text and job_id:
        return PairmillError(
            f"{address}: this cluster knows no job {job_id}. See `pairmill list`. A cluster whose head was restarted "
            "has forgotten its jobs: submit again, and the run resumes."
        )
    reason = _reason(error)
    if isinstance(error, ValueError) or "status code 413" in text:
        return PairmillError(
            f"{address}: the job cannot be uploaded: {reason} A working directory holds a spec and small lists: name "
            "large files in a .gitignore, and put data into an object store."
        )
    return Unreachable(
        f"{address}: the job server cannot be asked: {reason} Check that the cluster runs, that its dashboard listens "
        "beyond its own host (--dashboard-host), and that this machine may reach the port."
    )


def _reason(error: Exception) -> str:
    """What an error says in the end: of a connection the system's own words, of a traceback the last line."""
    text = str(error)
    if system := re.search(r"\[Errno -?\d+\] ([^'\"()]+)", text):
        return f"{system[1].strip()}."
    return next((line for line in reversed(text.splitlines()) if re.search(r"\w", line)), type(error).__name__)


def _about_token(text: str) -> str:
    remedy = (
        "Set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH to a file with the cluster's token (or RAY_AUTH_TOKEN to the "
        "token itself), as its operator gave it."
    )
    if "Forbidden" in text or "failed" in text:
        return f"the cluster refuses the token it was given: it is not this cluster's. {remedy}"
    return f"the cluster asks for a token, and none was given. {remedy}"
