"""
Asynchronous invocations: retried, then sent to their destination, as Lambda does.

ministack counts a throttled event as a failed attempt, always reports three attempts, knows no
destination for success, and sends a dead-letter queue what a destination gets.
"""

from __future__ import annotations

import contextvars
import datetime
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from holdfast_local.cloud import hooks, permissions
from holdfast_local.cloud.clients import client_as
from holdfast_local.cloud.logs import enter_scope

DEFAULT_RETRIES = 2
DEFAULT_AGE_SECONDS = 21600
FIRST_RETRY_SECONDS = 1.0  # AWS waits one minute, then two
THROTTLE_SECONDS = 0.5

LOG = logging.getLogger(__name__)


def install(endpoint: str) -> None:
    """Take over every asynchronous invocation."""
    service = hooks.module("ministack.services.lambda_svc")

    def deliver(func: dict[str, Any], event: Any) -> None:
        delivery = Delivery.of(func, event, endpoint)
        context = contextvars.copy_context()
        attempt = lambda: service._execute_function(func, event)  # noqa: E731
        threading.Thread(target=context.run, args=(delivery.run, attempt), daemon=True, name="async").start()

    hooks.replace(service, "invoke_async_with_retry", deliver, expects=("func", "event"))


@dataclass(frozen=True)
class Delivery:
    """One event on its way to a function that nobody waits for."""

    function_arn: str
    role: str
    event: Any
    endpoint: str
    retries: int
    age_seconds: float
    on_success: str | None
    on_failure: str | None
    dead_letter: str | None

    @classmethod
    def of(cls, func: dict[str, Any], event: Any, endpoint: str) -> Delivery:
        """Read what the function's configuration says about asynchronous events."""
        config = func.get("config") or func
        asynchronous = func.get("event_invoke_config") or (func.get("event_invoke_configs") or {}).get("$LATEST") or {}
        destinations = asynchronous.get("DestinationConfig") or {}
        return cls(
            function_arn=config["FunctionArn"],
            role=config["Role"],
            event=event,
            endpoint=endpoint,
            retries=int(asynchronous.get("MaximumRetryAttempts", DEFAULT_RETRIES)),
            age_seconds=float(asynchronous.get("MaximumEventAgeInSeconds", DEFAULT_AGE_SECONDS)),
            on_success=(destinations.get("OnSuccess") or {}).get("Destination"),
            on_failure=(destinations.get("OnFailure") or {}).get("Destination"),
            dead_letter=(config.get("DeadLetterConfig") or {}).get("TargetArn"),
        )

    def run(self, attempt: Callable[[], dict[str, Any]]) -> None:
        """Try until it succeeds, the retries are used up or the event is too old; then tell the destinations."""
        enter_scope(self.function_arn)
        began, tries, result = time.monotonic(), 0, {}
        while tries <= self.retries and time.monotonic() - began < self.age_seconds:
            result = attempt()
            if result.get("throttle"):
                time.sleep(THROTTLE_SECONDS)
                continue
            tries += 1
            self._count(failed=bool(result.get("error")))
            if not result.get("error"):
                return self._succeeded(result, tries)
            if tries <= self.retries:
                time.sleep(FIRST_RETRY_SECONDS * 2 ** (tries - 1))
        return self._failed(result, tries, "RetriesExhausted" if tries > self.retries else "EventAgeExceeded")

    def _count(self, *, failed: bool) -> None:
        # What ministack counts is the acceptance of the event, which never fails.
        service = hooks.module("ministack.services.cloudwatch")
        name = self.function_arn.split(":")[6]
        service.record_metric("AWS/Lambda", "Errors", int(failed), "Count", {"FunctionName": name})
        service._evaluate_all_alarms()

    def _succeeded(self, result: dict[str, Any], tries: int) -> None:
        if self.on_success:
            self._send(self.on_success, self._envelope(result, tries, "Success"))

    def _failed(self, result: dict[str, Any], tries: int, condition: str) -> None:
        LOG.warning("%s failed for good: %s", self.function_arn, condition)
        if self.on_failure:
            self._send(self.on_failure, self._envelope(result, tries, condition))
        if self.dead_letter:
            message = str((result.get("body") or {}).get("errorMessage", ""))[:1024]
            self._send(self.dead_letter, self.event, {"ErrorCode": "200", "ErrorMessage": message or condition})

    def _envelope(self, result: dict[str, Any], tries: int, condition: str) -> dict[str, Any]:
        # https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
        failed = {"functionError": result.get("function_error", "Unhandled")} if result.get("error") else {}
        return {
            "version": "1.0",
            "timestamp": datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="milliseconds"),
            "requestContext": {
                "requestId": str(uuid.uuid4()),
                "functionArn": f"{self.function_arn}:$LATEST",
                "condition": condition,
                "approximateInvokeCount": tries,
            },
            "requestPayload": self.event,
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", **failed},
            "responsePayload": result.get("body"),
        }

    def _send(self, target: str, payload: Any, attributes: dict[str, str] | None = None) -> None:
        service, region, account, name = (target.split(":")[index] for index in (2, 3, 4, 5))
        text = json.dumps(payload)
        extra = {
            "MessageAttributes": {
                key: {"DataType": "String", "StringValue": value} for key, value in (attributes or {}).items()
            }
        }
        session = permissions.role_session(self.role, name="async", region=region)
        to = client_as(session, service, self.endpoint, region)
        if service == "sqs":
            to.send_message(QueueUrl=f"{self.endpoint}/{account}/{name}", MessageBody=text, **extra)
        elif service == "sns":
            to.publish(TopicArn=target, Message=text, **extra)
        elif service == "lambda":
            to.invoke(FunctionName=target, InvocationType="Event", Payload=text.encode())
        else:
            LOG.warning("Destination %s is of no kind that can be reached here", target)
