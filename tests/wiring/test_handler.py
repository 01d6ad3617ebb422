"""What surrounds every use case in a Lambda function."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from holdfast.contracts.backup import DumpRequest, Failed
from holdfast.errors import BadRequest, DatabaseBusy, UnexpectedState
from holdfast.handler import handles, logger, metrics

EVENT = {"database": "shop", "point_id": "shop-20260131t020000z-1a2b3c", "plan": "p", "batch": 3}


@dataclass
class Context:
    """What Lambda tells about an invocation."""

    function_name: str = "holdfast-internet-snapshot-dump"
    memory_limit_in_mb: int = 3008
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:x"
    aws_request_id: str = "request-1"


@handles(DumpRequest)
def answering(request: DumpRequest, context: Any) -> Failed:
    logger().info("At work")
    return Failed(database=request.database, point_id=request.point_id, reason=context.aws_request_id)


def raising(error: Exception) -> Any:
    @handles(DumpRequest)
    def handler(request: DumpRequest, context: Any) -> Failed:
        raise error

    return handler


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


class Output(io.TextIOBase):
    """Whatever standard output is at the moment: pytest exchanges it for each test."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)


@pytest.fixture(autouse=True)
def captured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logger().registered_handler, "stream", Output())


def test_a_valid_event_is_answered_as_json() -> None:
    answer = answering(EVENT, Context())

    assert answer == {"database": "shop", "point_id": EVENT["point_id"], "reason": "request-1"}


def test_log_lines_carry_the_ids(capsys: pytest.CaptureFixture[str]) -> None:
    answering(EVENT, Context())

    (line,) = logged(capsys)
    assert line["message"] == "At work"
    assert line | EVENT == line | {"plan": "p"}
    assert line["function_request_id"] == "request-1"


def test_ids_of_one_invocation_do_not_reach_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    answering(EVENT, Context())
    logged(capsys)

    with pytest.raises(BadRequest):
        answering({}, Context())

    (line,) = logged(capsys)
    assert "point_id" not in line


def test_our_errors_leave_as_they_are_and_are_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    error = DatabaseBusy("No connection slot is free.", database="shop")

    with pytest.raises(DatabaseBusy) as caught:
        raising(error)(EVENT, Context())

    (line,) = logged(capsys)
    assert caught.value is error
    assert (line["level"], line["error"], line["ids"]) == ("ERROR", "DatabaseBusy", {"database": "shop"})


def test_errors_of_others_leave_as_ours_without_their_text(capsys: pytest.CaptureFixture[str]) -> None:
    error = ValueError("Key (email)=(jane@example.com) already exists")

    with pytest.raises(UnexpectedState, match=r"ValueError at .*test_handler\.py:\d+ handler") as caught:
        raising(error)(EVENT, Context())

    (line,) = logged(capsys)
    assert caught.value.__cause__ is error
    assert "jane" not in json.dumps(line) + str(caught.value)
    assert line["ids"]["frames"]


@pytest.mark.parametrize(
    ("event", "faults"),
    [
        pytest.param({"database": "shop", "plan": "p", "batch": 1}, "point_id is missing", id="missing"),
        pytest.param(EVENT | {"batch": -1}, "batch: input should be greater than or equal to 0", id="out of bounds"),
        pytest.param(EVENT | {"password": "geheim"}, "password is not a known field", id="unknown"),
        pytest.param(
            {"database": ["geheim"], "batch": "geheim"},
            "database: input should be a valid string; point_id is missing; plan is missing; "
            "batch: input should be a valid integer, unable to parse string as an integer",
            id="all at once",
        ),
        pytest.param(
            None, "the event: input should be a valid dictionary or instance of DumpRequest", id="no event at all"
        ),
    ],
)
def test_a_bad_event_is_refused_in_one_sentence_that_repeats_no_value(event: object, faults: str) -> None:
    with pytest.raises(BadRequest) as caught:
        answering(event, Context())

    assert caught.value.message == f"The request is not a valid DumpRequest: {faults}."
    assert "geheim" not in str(caught.value)


def test_metrics_of_a_handler_are_written_when_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    @handles(DumpRequest)
    def handler(request: DumpRequest, context: Any) -> Failed:
        metrics().add_metric(name="BytesStored", unit="Bytes", value=7)
        return Failed(database=request.database, reason="")

    handler(EVENT, Context())

    (line,) = logged(capsys)
    assert line["BytesStored"] == [7.0]
    assert line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "tests"
