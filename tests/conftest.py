"""What every test finds: an environment of fixed values, whatever the shell that started it has."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Machines that test are busy: how long one example took says nothing about the code.
settings.register_profile("busy machine", deadline=None)
settings.load_profile("busy machine")

_CLEARED = ("AWS_", "POWERTOOLS_", "HOLDFAST_", "PG")
_FIXED = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "POWERTOOLS_TRACE_DISABLED": "true",
    "POWERTOOLS_SERVICE_NAME": "tests",
    "POWERTOOLS_METRICS_NAMESPACE": "tests",
}


@pytest.fixture(autouse=True)
def fixed_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clear what would change behaviour, and set credentials that open nothing."""
    for name in os.environ:
        if name.startswith(_CLEARED):
            monkeypatch.delenv(name)
    for name, value in _FIXED.items():
        monkeypatch.setenv(name, value)
