"""
Speak to Neon's API: one place for the key, time-outs, retries and what its errors mean.

A project takes one change at a time and answers 423 meanwhile. That, 429 and 503 are safe to send again, whatever
the method; anything else is only when it reads. Whoever changes something therefore looks first whether it is there.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx

from holdfast.errors import (
    HoldfastError,
    ProviderBusy,
    ProviderMissing,
    ProviderQuota,
    ProviderRefused,
    ProviderUnauthorised,
    ProviderUnreachable,
    UnexpectedState,
)

BASE = "https://console.neon.tech/api/v2"
Document = dict[str, Any]

_SAFE_AGAIN = {HTTPStatus.LOCKED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_UNAUTHORISED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0
_PAGE = 400
_QUOTA = ("LIMIT_EXCEEDED", "QUOTA_EXCEEDED")
_NOT_YET = ("not ready yet", "transitive state")


class NeonHttp:
    """
    A connection to the API for one project.

    *patience* is how many seconds one call may be sent again; what lasts longer is the state machine's to retry.
    """

    def __init__(
        self,
        key: str,
        *,
        sleep: Callable[[float], None],
        now: Callable[[], datetime],
        base: str = BASE,
        patience: float = 60.0,
    ) -> None:
        self._client = httpx.Client(
            base_url=base,
            headers={"Authorization": f"Bearer {key}", "Accept": "application/json"},
            timeout=_TIMEOUT,
            follow_redirects=False,
        )
        self._sleep, self._now, self._patience = sleep, now, patience

    def get(self, path: str, **parameters: str | int) -> Document:
        """Return the answer to a reading request."""
        return self._send("GET", path, parameters=parameters)

    def change(
        self, method: str, path: str, body: Document | None = None, parameters: Mapping[str, str | int] | None = None
    ) -> Document:
        """Return the answer to a changing request; empty when there is nothing to change any more (204)."""
        return self._send(method, path, body=body, parameters=parameters or {})

    def pages(self, path: str, name: str) -> Iterator[Document]:
        """Yield the items called *name* of all pages."""
        cursor: dict[str, str] = {}
        while True:
            page = self.get(path, limit=_PAGE, **cursor)
            yield from page[name]
            following = page.get("pagination", {})
            next_one = following.get("next") or following.get("cursor")
            if not next_one or not page[name] or next_one == cursor.get("cursor"):
                return
            cursor = {"cursor": str(next_one)}

    def _send(
        self, method: str, path: str, *, parameters: Mapping[str, str | int], body: Document | None = None
    ) -> Document:
        waited, pause = 0.0, _FIRST_PAUSE
        while True:
            try:
                return self._once(method, path, parameters, body)
            except (ProviderBusy, ProviderUnreachable) as error:
                asked = float(error.ids.get("retry_after") or 0)  # type: ignore[arg-type]  # ours, a float
                wait = max(asked, random.uniform(pause / 2, pause))  # noqa: S311  # jitter is no secret
                again = isinstance(error, ProviderBusy) or method == "GET"
                if not again or waited + wait > self._patience:
                    raise
                self._sleep(wait)
                waited, pause = waited + wait, min(pause * 2, _LONGEST_PAUSE)

    def _once(self, method: str, path: str, parameters: Mapping[str, str | int], body: Document | None) -> Document:
        try:
            answer = self._client.request(method, path, params=dict(parameters), json=body)
        except httpx.TransportError as error:
            # What httpx says may hold the address with its parameters, never the key; ours says enough.
            raise ProviderUnreachable(f"Neon's API did not answer {method} {path}: {type(error).__name__}.") from error
        if answer.status_code == HTTPStatus.NO_CONTENT:
            return {}
        if answer.is_success:
            return _document(answer)
        raise self._refused(answer, f"{method} {path}")

    def _refused(self, answer: httpx.Response, call: str) -> HoldfastError:
        status, said, code = answer.status_code, *_complaint(answer)
        told = f"Neon answered {call} with {status}: {said}"
        if status in _SAFE_AGAIN or any(words in said for words in _NOT_YET):
            return ProviderBusy(told, retry_after=_retry_after(answer, self._now()))
        if answer.is_server_error:
            return ProviderUnreachable(told)
        if status in _UNAUTHORISED:
            return ProviderUnauthorised(told)
        if status == HTTPStatus.NOT_FOUND:
            return ProviderMissing(told)
        if any(words in f"{code} {said.upper().replace(' ', '_')}" for words in _QUOTA):
            return ProviderQuota(told)
        return ProviderRefused(told, status=status)


def _document(answer: httpx.Response) -> Document:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UnexpectedState(f"Neon answered {answer.request.url.path} with something that is no JSON object.")
    return found


def _complaint(answer: httpx.Response) -> tuple[str, str]:
    """Return the sentence and the code of an error; bodies that are none of Neon's say nothing."""
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return "no reason was given.", ""
    said = " ".join(str(found.get("message") or "no reason was given").split())[:300]
    return f"{said.rstrip('.')}.", str(found.get("code") or "")


def _retry_after(answer: httpx.Response, now: datetime) -> float:
    """Return the seconds that the server asks to wait, from either form of the header."""
    asked = answer.headers.get("Retry-After", "")
    if asked.isdigit():
        return float(asked)
    try:
        return max(0.0, (parsedate_to_datetime(asked) - now).total_seconds())
    except (TypeError, ValueError):
        return 0.0
