"""Fixtures: one system for all tests that one worker runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from system.world import World, raised


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return the running system; it ends with the session."""
    with raised(tmp_path_factory.mktemp("world")) as started:
        yield started


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Look for secrets at the end of each group, when everything else has had its chance to give them away."""
    items.sort(key=lambda item: item.path.name == "test_secrets.py")
