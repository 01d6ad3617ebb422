"""How sizes, durations and failures read."""

from __future__ import annotations

import json

import pytest

from holdfast.contracts.backup import BackupRequest
from holdfast.contracts.restore import RestoreRequest
from holdfast.errors import BackupAlreadyRunning, TargetNotEmpty
from holdfast_cli import words
from holdfast_cli.errors import RunFailed
from holdfast_cli.failures import failure


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (12_345, "12.3 kB"),
        (999_600, "1.00 MB"),
        (2_500_000_000, "2.50 GB"),
    ],
)
def test_sizes_have_three_digits(count: int, text: str) -> None:
    assert words.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
        (270_000, "3 d 3 h"),
    ],
)
def test_durations_have_two_units(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_an_error_of_ours_keeps_sentence_and_remedy_apart() -> None:
    sentence = "Database shop_restored holds 3 tables."
    cause = json.dumps({"errorType": "TargetNotEmpty", "errorMessage": f"{sentence} {TargetNotEmpty.hint}"})

    found = failure("TargetNotEmpty", cause, execution="arn")

    assert isinstance(found, TargetNotEmpty)
    assert (found.message, found.hint, found.ids) == (sentence, TargetNotEmpty.hint, {"execution": "arn"})


def test_the_failure_of_a_nested_execution_is_told_as_its_own() -> None:
    inner = json.dumps({"errorMessage": "A backup runs."})

    found = failure("States.TaskFailed", json.dumps({"Error": "BackupAlreadyRunning", "Cause": inner}))

    assert isinstance(found, BackupAlreadyRunning)
    assert found.message == "A backup runs."


def test_a_name_that_is_not_ours_becomes_a_sentence() -> None:
    found = failure("Sandbox.Timedout", "2026-01-31 Task timed out after 900.00 seconds")

    assert isinstance(found, RunFailed)
    assert found.message.startswith("A function reached its time limit.")


@pytest.mark.parametrize("contract", [BackupRequest, RestoreRequest])
def test_reasons_have_the_length_that_the_machines_take(contract: type[BackupRequest | RestoreRequest]) -> None:
    (longest,) = [each.max_length for each in contract.model_fields["reason"].metadata if hasattr(each, "max_length")]

    assert longest == words.LONGEST_REASON
