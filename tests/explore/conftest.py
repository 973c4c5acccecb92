"""One storage with real runs for all of the explorer's tests, and one server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import explorekit
from pairmill.explore.contents import Contents, contents
from pairmill.explore.database import Database, Question
from pairmill.runs.storage import open_storage


@pytest.fixture(scope="session")
def store(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> explorekit.Store:
    return explorekit.make(tmp_path_factory.mktemp("explored"))


@pytest.fixture(scope="session")
def database(store: explorekit.Store) -> Iterator[Database]:
    opened = Database(open_storage(store.uri))
    yield opened
    opened.close()


@pytest.fixture
def asked(database: Database) -> Iterator[Question]:
    question = database.question()
    yield question
    question.close()


@pytest.fixture(scope="session")
def usual(store: explorekit.Store) -> Contents:
    return contents(store.uri, store.usual)


@pytest.fixture(scope="session")
def address(store: explorekit.Store) -> Iterator[str]:
    with explorekit.serving(store.uri) as served:
        yield served
