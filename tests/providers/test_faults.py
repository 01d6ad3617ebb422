"""
Every method of every provider, with every fault of the provider's, from each of its calls on.

No call leaves the process for a fault: it is put in the place of the answer, where the client would read it.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from tests.providers.worlds import ELSEWHERE, KEY_ELSEWHERE, REGION, WORLDS, NeonWorld, World, available, neon

from holdfast.adapters.aws.rds import Elsewhere
from holdfast.errors import (
    HoldfastError,
    ProviderBusy,
    ProviderMissing,
    ProviderRefused,
    ProviderUnauthorised,
    ProviderUnreachable,
    UnexpectedState,
)
from holdfast.model.provider_settings import PROTECTED, Setting
from holdfast.ports.providers import Provider
from holdfast_local.history import HollowServer

TOKEN = "FwoGZXIvYXdzE-session-token"
ADDRESS = "postgresql://master:correct-horse@db.example.com/shop"
MOST_CALLS = 20


@dataclass(frozen=True)
class Fault:
    """An answer, or no answer, in the place of the provider's; what must come of it."""

    name: str
    becomes: type[HoldfastError]
    status: int = 0
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    silence: str = ""

    def said(self) -> str:
        """Return what the provider says, with what must never be told on."""
        return f"You may not: {TOKEN}." if self.status in {401, 403} else f"It went wrong at {ADDRESS}."


FAULTS = [
    Fault("400", ProviderRefused, 400),
    Fault("401", ProviderUnauthorised, 401),
    Fault("403", ProviderUnauthorised, 403),
    Fault("404", ProviderMissing, 404),
    Fault("409", ProviderRefused, 409),
    Fault("422", ProviderRefused, 422),
    Fault("423", ProviderBusy, 423),
    Fault("429", ProviderBusy, 429, headers={"Retry-After": "1"}),
    Fault("429 for long", ProviderBusy, 429, headers={"Retry-After": "3600"}),
    Fault("500", ProviderUnreachable, 500),
    Fault("500 with a page", ProviderUnreachable, 500, b"<html>Oops"),
    Fault("503", ProviderBusy, 503),
    Fault("a timeout", ProviderUnreachable, silence="timeout"),
    Fault("a reset", ProviderUnreachable, silence="reset"),
    Fault("no document", UnexpectedState, 200, b"<html>Welcome"),
    Fault("another document", UnexpectedState, 200, b"{}"),
]

METHODS: dict[str, Callable[[Provider, dict[str, str]], object]] = {
    "source": lambda provider, _: provider.source(),
    "window": lambda provider, _: provider.window(),
    "snapshots": lambda provider, _: provider.snapshots(),
    "create_snapshot": lambda provider, _: provider.create_snapshot("another"),
    "delete_snapshot": lambda provider, ids: provider.delete_snapshot(ids["snapshot"]),
    "quota": lambda provider, _: provider.quota(),
    "copy_snapshot": lambda provider, ids: provider.copy_snapshot(ids["snapshot"]),
    "second_region_snapshots": lambda provider, _: provider.second_region_snapshots(),
    "delete_second_region_snapshot": lambda provider, ids: provider.delete_second_region_snapshot(ids["snapshot"]),
    "share_snapshot": lambda provider, ids: provider.share_snapshot(ids["snapshot"], ["210987654321"]),
    "create_copy": lambda provider, _: provider.create_copy("another"),
    "create_copy at": lambda provider, _: provider.create_copy("another", at=datetime.now(UTC), lasting=True),
    "create_copy of": lambda provider, ids: provider.create_copy("another", snapshot_id=ids["snapshot"]),
    "copies": lambda provider, _: provider.copies(),
    "login": lambda provider, ids: provider.login(ids["copy"]),
    "delete_copy": lambda provider, ids: provider.delete_copy(ids["copy"]),
    "restore_in_place": lambda provider, _: provider.restore_in_place(
        datetime.now(UTC), keep_as="before", protect=True
    ),
    "settings": lambda provider, _: provider.settings(),
    "apply": lambda provider, _: provider.apply([Setting(PROTECTED, value=True)]),
    "description": lambda provider, _: provider.description(),
}


LOOKED_AT_LATER = {"apply", "delete_snapshot"}
"""What Neon answers to these says nothing that is needed: whoever asked looks at the settings, or the snapshots."""


class Between:
    """Stands between a provider and its API: from the call *first* on, *fault* is the answer."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.first = self.calls = 0

    def faulty(self) -> Fault | None:
        """Count a call, and return the fault that is its answer."""
        self.calls += 1
        return self.fault if self.fault is not None and self.calls > self.first else None

    def of_neon(self, real: Callable[..., httpx.Response]) -> Callable[..., httpx.Response]:
        """Return what sends a request for httpx."""

        def send(transport: Any, request: httpx.Request) -> httpx.Response:
            if (fault := self.faulty()) is None:
                return real(transport, request)
            if fault.silence:
                raise {"timeout": httpx.ReadTimeout, "reset": httpx.ReadError}[fault.silence]("gone")
            said = {"code": "", "message": f"It went wrong at {ADDRESS} with {request.headers['Authorization']}."}
            if fault.body is None:
                return httpx.Response(fault.status, headers=fault.headers, json=said)
            return httpx.Response(fault.status, headers=fault.headers, content=fault.body)

        return send

    def of_rds(self, request: Any, **_: Any) -> AWSResponse | None:
        """Return the answer to a request of botocore's, or nothing for the real one."""
        if (fault := self.faulty()) is None:
            return None
        if fault.silence:
            raise {"timeout": ReadTimeoutError, "reset": ConnectionClosedError}[fault.silence](endpoint_url=request.url)
        code = "SignatureDoesNotMatch" if fault.status == 403 else "Whatever"
        body = f"<ErrorResponse><Error><Code>{code}</Code><Message>{fault.said()}</Message></Error></ErrorResponse>"
        given = fault.body if fault.body != b"{}" else b"<Answer/>"
        content = body.encode() if given is None else given
        return AWSResponse(request.url, fault.status, fault.headers, _Raw(content))


class _Raw:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._content


@dataclass
class Place:
    """One provider with things to ask for, and what stands between."""

    provider: Provider
    ids: dict[str, str]
    between: Between
    secrets: list[str]


@pytest.fixture(scope="module", params=sorted(WORLDS))
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    between = Between()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, f"{name.lower()}-of-the-tests")
        with WORLDS[request.param](tmp_path_factory.mktemp("sweep") / "twin", HollowServer) as world:
            snapshot = world.provider.create_snapshot("monday")
            world.provider.create_copy("frozen")
            world.settle()
            copy = available(world, "frozen")
            secrets = [*world.secrets(), TOKEN, "correct-horse"]
            yield Place(_provider(world, between, patch), {"snapshot": snapshot.id, "copy": copy.id}, between, secrets)


def _provider(world: World, between: Between, patch: pytest.MonkeyPatch) -> Provider:
    """Return the world's provider with *between* in between, which waits for nothing."""
    if isinstance(world, NeonWorld):
        patch.setattr(httpx.HTTPTransport, "handle_request", between.of_neon(httpx.HTTPTransport.handle_request))
        return neon(world.twin, sleep=lambda _: None)
    clients = [world.client(region, total_max_attempts=1) for region in (REGION, ELSEWHERE)]  # type: ignore[attr-defined]  # both other worlds have it
    for each in clients:
        each.meta.events.register("before-send.rds", between.of_rds)
    kind: Any = type(world.provider)
    return kind(clients[0], "shop", second=Elsewhere(clients[1], KEY_ELSEWHERE))  # type: ignore[no-any-return]


@pytest.mark.parametrize("method", METHODS)
def test_each_fault_at_each_call_is_told_as_what_it_is(place: Place, method: str) -> None:
    for fault in FAULTS:
        for first in range(MOST_CALLS):
            if not _fails(place, method, fault, first):
                break
        else:
            pytest.fail(f"{method} makes more than {MOST_CALLS} calls")


def _fails(place: Place, method: str, fault: Fault, first: int) -> bool:
    """Call *method* with *fault* from its call *first* on; answer whether it got so far."""
    between = place.between
    between.fault, between.first, between.calls = fault, first, 0
    try:
        METHODS[method](place.provider, place.ids)
    except HoldfastError as error:
        raised: HoldfastError | None = error
    else:
        raised = None
    finally:
        between.fault = None
    met = between.calls > first
    if met and raised is not None:
        _judge(raised, place, fault, f"{fault.name} at call {first}")
    passed_over = fault.becomes is ProviderMissing or (fault.body == b"{}" and method in LOOKED_AT_LATER)
    assert not met or raised or passed_over, f"{fault.name} at call {first} was passed over"
    return met


def _judge(error: HoldfastError, place: Place, fault: Fault, where: str) -> None:
    """What is missing may be refused, too: a thing that cannot be found is asked for anew, though it is there."""
    wanted = (ProviderMissing, ProviderRefused) if fault.becomes is ProviderMissing else (fault.becomes,)
    assert type(error) in wanted, f"{where}: {type(error).__name__}: {error}"
    told = "".join(traceback.format_exception(error))
    assert not [each for each in place.secrets if each in told], f"{where} tells a secret"
