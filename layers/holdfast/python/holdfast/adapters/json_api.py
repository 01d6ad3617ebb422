"""
Speak to a vendor's HTTP API that takes and gives JSON: one place for the key, time-outs and calls sent again.

Whatever an API answers becomes one of our errors, without anything that the key, a password or an address with
either could be read from.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx

from holdfast.adapters.plain import plain
from holdfast.errors import (
    HoldfastError,
    ProviderBusy,
    ProviderMissing,
    ProviderRefused,
    ProviderUnauthorised,
    ProviderUnreachable,
    UnexpectedState,
)

Document = dict[str, Any]
Parameters = Mapping[str, str | int]
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """An answer that is an error: what the vendor *said* (a sentence), its *code* (may be empty), *told* by us."""

    status: int
    said: str
    code: str
    told: str
    retry_after: float = 0.0


Meaning = Callable[[Complaint], HoldfastError | None]
"""What a vendor's own error means; nothing for what its status tells well enough."""
Reading = Callable[[Document], tuple[str, str]]
"""Return the sentence and the code in the body of an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """Whose API it is, and how its errors are read; *always* are parameters of every call."""

    name: str
    base: str
    reading: Reading
    meaning: Meaning
    always: Parameters


class JsonApi:
    """
    A connection to one vendor's API.

    *patience* is for how many seconds one call may be sent again, pauses and silence together; what lasts longer is
    the state machine's to retry.
    """

    def __init__(
        self,
        vendor: Vendor,
        key: str,
        *,
        sleep: Callable[[float], None],
        now: Callable[[], datetime],
        patience: float = 60.0,
    ) -> None:
        self._vendor, self._key = vendor, key
        self._client = httpx.Client(
            base_url=vendor.base,
            headers={"Authorization": f"Bearer {key}", "Accept": "application/json"},
            timeout=_TIMEOUT,
            follow_redirects=False,
        )
        self._sleep, self._now, self._patience = sleep, now, patience

    def get(self, path: str, **parameters: str | int) -> Document:
        """Return the answer to a reading request, which is sent again whenever that may help."""
        return self._send("GET", path, parameters=parameters)

    def change(
        self,
        method: str,
        path: str,
        body: Document | list[Document] | None = None,
        parameters: Parameters | None = None,
    ) -> Document:
        """
        Return the answer to a changing request; empty when there is nothing to change any more (204).

        It is sent again only when the vendor said that nothing was done: after silence nobody knows.
        """
        return self._send(method, path, body=body, parameters=parameters or {})

    def _send(self, method: str, path: str, *, parameters: Parameters, body: Any = None) -> Document:
        began, waited, pause = self._now(), 0.0, _FIRST_PAUSE
        while True:
            try:
                return self._once(method, path, parameters, body)
            except (ProviderBusy, ProviderUnreachable) as error:
                asked = float(error.ids.get("retry_after") or 0)  # type: ignore[arg-type]  # ours, a float
                wait = max(asked, random.uniform(pause / 2, pause))  # noqa: S311  # jitter is no secret
                again = isinstance(error, ProviderBusy) or method == "GET"
                spent = max(waited, (self._now() - began).total_seconds())
                if not again or spent + wait > self._patience:
                    raise
                self._sleep(wait)
                waited, pause = waited + wait, min(pause * 2, _LONGEST_PAUSE)

    def _once(self, method: str, path: str, parameters: Parameters, body: Any) -> Document:
        try:
            answer = self._client.request(method, path, params={**self._vendor.always, **parameters}, json=body)
        except (httpx.TransportError, httpx.DecodingError) as error:
            # What httpx says may hold the address with its parameters; our own words say enough.
            raise ProviderUnreachable(
                f"{self._vendor.name}'s API did not answer {method} {path}: {type(error).__name__}."
            ) from None
        if answer.status_code == HTTPStatus.NO_CONTENT:
            return {}
        if answer.is_success:
            return self._document(answer, f"{method} {path}")
        raise self._refused(answer, f"{method} {path}")

    def _document(self, answer: httpx.Response, call: str) -> Document:
        found = _object(answer)
        if found is None:
            raise UnexpectedState(f"{self._vendor.name} answered {call} with something that is no JSON object.")
        return found

    def _refused(self, answer: httpx.Response, call: str) -> HoldfastError:
        said, code = self._vendor.reading(_object(answer) or {})
        said = f"{plain(said, self._key).rstrip('.') or 'no reason was given'}."
        complaint = Complaint(
            status=answer.status_code,
            said=said,
            code=code,
            told=f"{self._vendor.name} answered {call} with {answer.status_code}: {said}",
            retry_after=_retry_after(answer, self._now()),
        )
        return self._vendor.meaning(complaint) or _by_status(complaint)


def _by_status(complaint: Complaint) -> HoldfastError:
    """Return what an error's status tells, where the vendor's code says nothing more."""
    status, told = complaint.status, complaint.told
    if status in {HTTPStatus.LOCKED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        return ProviderBusy(told, retry_after=complaint.retry_after)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ProviderUnreachable(told)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ProviderUnauthorised(told)
    if status == HTTPStatus.NOT_FOUND:
        return ProviderMissing(told)
    return ProviderRefused(told, status=status)


def _object(answer: httpx.Response) -> Document | None:
    """Return the JSON object of a body; nothing for any other body."""
    try:
        found = answer.json()
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _retry_after(answer: httpx.Response, now: datetime) -> float:
    """Return the seconds that the server asks to wait, from either form of the header."""
    asked = answer.headers.get("Retry-After", "")
    if asked.isdigit():
        return float(asked)
    try:
        return max(0.0, (parsedate_to_datetime(asked) - now).total_seconds())
    except (TypeError, ValueError):
        return 0.0
