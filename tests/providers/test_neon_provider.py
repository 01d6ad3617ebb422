"""What is Neon's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.providers.worlds import NeonWorld, available, neon

from holdfast.errors import ProviderBusy, ProviderUnreachable, UnexpectedState
from holdfast_local.neon import Fault


def test_neon_removes_a_copy_by_itself_when_nobody_does(neon_world: NeonWorld) -> None:
    expires = datetime.now(UTC) + timedelta(hours=3)
    assert neon_world.provider.create_copy("frozen", expires_at=expires).expires_at == expires

    copy = neon_world.provider.create_copy("long", expires_at=datetime.now(UTC) + timedelta(days=90))
    assert copy.expires_at is not None
    assert copy.expires_at < datetime.now(UTC) + timedelta(days=30)


def test_a_running_operation_is_waited_for(neon_world: NeonWorld) -> None:
    neon_world.provider.create_copy("one")
    neon_world.provider.create_copy("two")  # Neon answers 423 until the first one is made

    assert {each.name for each in neon_world.provider.copies()} == {"one", "two"}


def test_a_project_that_stays_busy_is_left_to_the_state_machine(neon_world: NeonWorld) -> None:
    neon_world.twin.api.faults.append(Fault(status=423, message="running conflicting operations", times=100))
    with pytest.raises(ProviderBusy, match="conflicting"):
        neon(neon_world.twin, patience=0.5).window()


@pytest.mark.parametrize("status", [500, 502, 524])
def test_a_broken_api_is_asked_again_only_for_what_it_reads(neon_world: NeonWorld, status: int) -> None:
    neon_world.twin.api.faults.append(Fault(status=status, times=2))
    assert neon_world.provider.window() is not None

    neon_world.twin.api.faults.append(Fault(status=status, method="POST", times=1))
    with pytest.raises(ProviderUnreachable):
        neon_world.provider.create_copy("once")
    assert [each for each in neon_world.twin.api.exchanges if each.method == "POST"] == []
    assert neon_world.provider.copies() == ()


def test_too_many_requests_wait_as_long_as_asked(neon_world: NeonWorld) -> None:
    waits: list[float] = []
    neon_world.twin.api.faults.append(Fault(status=429, headers={"Retry-After": "7"}))

    assert neon(neon_world.twin, sleep=waits.append).window() is not None
    assert waits == [7.0]


def test_an_answer_that_is_no_json_is_no_answer(neon_world: NeonWorld) -> None:
    neon_world.twin.api.faults.append(Fault(status=200, raw=b"<html>"))
    with pytest.raises(UnexpectedState, match="no JSON object"):
        neon_world.provider.window()


def test_copies_of_a_protected_branch_have_passwords_of_their_own(neon_world: NeonWorld) -> None:
    source = neon_world.provider.source()
    neon_world.call("PATCH", f"/branches/{source}", {"branch": {"protected": True}})
    neon_world.settle()
    neon_world.provider.create_copy("of-protected")
    copy = available(neon_world, "of-protected")

    assert neon_world.run("SELECT 1", copy.id) == 1
    assert neon_world.provider.login(copy.id).password != neon_world.provider.login(source).password
