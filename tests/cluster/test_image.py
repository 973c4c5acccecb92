"""The image's file is sound, as far as it can be told without building it."""

from __future__ import annotations

import re

from pairmill.cluster.render.pods import USER
from services import ROOT


def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "cluster/image/Dockerfile").read_text()
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.M)).splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines if line.strip()]


def test_the_image_copies_what_exists_and_its_ignore_file_lets_through():
    ignored = (ROOT / "cluster/image/Dockerfile.dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    sources = [
        source
        for name, rest in instructions()
        if name == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    ]
    assert {"platform", "pyproject.toml", "cluster/constraints.txt"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists() and source in allowed


def test_the_image_installs_by_the_constraints_and_ends_as_a_user_who_is_not_root():
    found = instructions()
    installs = [rest for name, rest in found if name == "RUN" and "pip install" in rest]
    assert installs
    for rest in installs:
        assert rest.count("pip install") == rest.count("pip install -c cluster/constraints.txt")
    last_stage = max(number for number, (name, _) in enumerate(found) if name == "FROM")
    users = [rest for name, rest in found[last_stage:] if name == "USER"]
    assert users and int(users[-1].split(":")[0]) > 0, "a number, so that Kubernetes can tell that it is not root"
    assert users[-1] == f"{USER}:{USER}"


def test_the_image_asks_for_extras_that_the_package_has():
    project = (ROOT / "pyproject.toml").read_text().split("[project.optional-dependencies]")[1].split("\n[")[0]
    extras = re.findall(r"^(\w+) = \[", project, re.M)
    (asked_for,) = [rest.partition("=")[2] for name, rest in instructions() if name == "ARG" and "EXTRAS" in rest]
    assert asked_for and set(asked_for.split(",")) <= set(extras)
