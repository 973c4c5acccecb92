"""Variables of the environment: which a submission forwards, and which are read on the cluster.

What is forwarded can be read by all who may see the cluster's jobs, so a name or value that looks like a secret is
refused. Secrets are set on the cluster, and a spec refers to them by `${env:NAME}`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from pairmill.errors import SpecError

_REFERENCE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)(:-)?")
_SECRET_NAME = re.compile(
    r"(^|_)([A-Z0-9]*(SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|APIKEY)|KEY|PASS|PRIVATE|CREDENTIALS?)(_|$)", re.I
)
_SECRET_IN_URL = re.compile(r"://[^/\s:@]+:[^/\s@]+@")


def forwarded(names: Sequence[str]) -> dict[str, str]:
    """The variables to forward. Raises SpecError for one that is not set, or that looks like a secret."""
    found = {}
    for name in names:
        if "=" in name:
            raise SpecError(f"--env {name.partition('=')[0]}=..: write the name alone; its value is read here.")
        if _SECRET_NAME.search(name) or _SECRET_IN_URL.search(os.environ.get(name, "")):
            raise SpecError(
                f"--env {name}: this looks like a secret, and what is forwarded can be read by all who may see the "
                f"cluster's jobs. Set it on the cluster (a Kubernetes secret, the nodes' environment); where the spec "
                f"needs it, write ${{env:{name}}}, which is read there."
            )
        if name not in os.environ:
            raise SpecError(f"--env {name}: there is no such variable here. Set it, or leave --env out.")
        found[name] = os.environ[name]
    return found


def standing_for_themselves(text: str) -> dict[str, str]:
    """This environment, where variables that a spec's text refers to and that are not set here are their references."""
    unread = {match[1]: f"${{env:{match[1]}}}" for match in _REFERENCE.finditer(text) if not match[2]}
    return {**unread, **os.environ}


def about_references(text: str, names: Sequence[str]) -> Iterator[str]:
    """Of every variable that a spec's text refers to and that is not among the forwarded: where it is read."""
    for name in dict.fromkeys(match[1] for match in _REFERENCE.finditer(text)):
        if name not in names:
            hint = "" if _SECRET_NAME.search(name) or name not in os.environ else f" (--env {name} would forward yours)"
            yield f"${{env:{name}}} is read on the cluster{hint}"
