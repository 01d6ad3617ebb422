"""Vercel: what a cutover changes, and what it leaves alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.providers.contract import Contract
from tests.providers.worlds import until

from holdfast.adapters.vercel import VercelProject
from holdfast.errors import (
    HoldfastError,
    ProviderBusy,
    ProviderMissing,
    ProviderRefused,
    ProviderUnauthorised,
    ProviderUnreachable,
    UnexpectedState,
)
from holdfast.ports.providers import Progress
from holdfast_local.twin_messages import Fault
from holdfast_local.vercel import VercelTwin

VALUE = "postgresql://shop:correct-horse@new.example.com/shop"


@pytest.fixture
def twin(vercel_contract: Contract | None) -> Iterator[VercelTwin]:
    with VercelTwin() as twin:
        yield twin
        for exchange in twin.exchanges if vercel_contract else ():
            assert vercel_contract is not None
            vercel_contract.check(exchange)


def project(twin: VercelTwin, **more: Any) -> VercelProject:
    arguments: dict[str, Any] = {
        "key": twin.key,
        "project": "shop",
        "team": "team_local",
        "sleep": time.sleep,
        "now": lambda: datetime.now(UTC),
        "base": twin.url,
        "patience": 0.5,
    }
    return VercelProject(**arguments | more)


def values(twin: VercelTwin) -> dict[str, str]:
    return {each["key"]: each["value"] for each in twin.project.variables.values()}


def test_a_redeployment_serves_with_the_new_value(twin: VercelTwin) -> None:
    twin.project.add("DATABASE_URL", "old")
    ours = project(twin)

    ours.set_variables({"DATABASE_URL": VALUE, "REPLICA_URL": VALUE})
    made = ours.redeploy("restore-1")
    assert made.progress is Progress.CREATING
    until(lambda: ours.deployment(made.id).progress is Progress.AVAILABLE)

    assert twin.project.builds[0].built_with == {"DATABASE_URL": VALUE, "REPLICA_URL": VALUE}


def test_asking_again_neither_builds_nor_makes_anything_twice(twin: VercelTwin) -> None:
    ours = project(twin)
    for _ in range(2):
        ours.set_variables({"DATABASE_URL": VALUE})

    assert ours.redeploy("restore-1").id == ours.redeploy("restore-1").id
    assert ours.redeploy("restore-2").id != ours.redeploy("restore-1").id
    assert (len(twin.project.builds), len(twin.project.variables)) == (3, 1)


def test_variables_are_told_without_their_values(twin: VercelTwin) -> None:
    twin.project.add("DATABASE_URL", VALUE, type="sensitive")
    twin.project.add("PGHOST", "h", configurationId="icfg_1", target=["production", "preview"])

    found = {each.name: each for each in project(twin).variables()}

    assert (found["DATABASE_URL"].readable, found["DATABASE_URL"].managed) == (False, False)
    assert (found["PGHOST"].managed, found["PGHOST"].targets) == (True, ("preview", "production"))
    assert "encrypted:" not in str(found)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        pytest.param({"configurationId": "icfg_1"}, "belongs to an integration", id="an integration's"),
        pytest.param({"target": ["production", "preview"]}, "shares the variable", id="shared with preview"),
        pytest.param({"customEnvironmentIds": ["env_1"]}, "shares the variable", id="shared with a custom one"),
    ],
)
def test_a_variable_that_is_not_production_s_own_stops_all_before_any_change(
    twin: VercelTwin, more: dict[str, Any], sentence: str
) -> None:
    twin.project.add("FIRST_URL", "old")
    twin.project.add("DATABASE_URL", "old", **more)

    with pytest.raises(ProviderRefused, match=sentence):
        project(twin).set_variables({"FIRST_URL": VALUE, "DATABASE_URL": VALUE})

    assert values(twin) == {"FIRST_URL": "old", "DATABASE_URL": "old"}


def test_variables_of_other_environments_and_branches_are_left_alone(twin: VercelTwin) -> None:
    twin.project.add("DATABASE_URL", "theirs", target=["preview"])

    project(twin).set_variables({"DATABASE_URL": VALUE})

    assert sorted(each["value"] for each in twin.project.variables.values()) == sorted([VALUE, "theirs"])


def test_a_variable_that_was_not_taken_is_an_error_though_the_answer_is_created(twin: VercelTwin) -> None:
    twin.refused.add("DATABASE_URL")

    with pytest.raises(ProviderRefused, match="did not take the variable DATABASE_URL: ENV_INVALID") as refused:
        project(twin).set_variables({"DATABASE_URL": VALUE})
    assert "correct-horse" not in str(refused.value)


@pytest.mark.parametrize(
    ("facts", "failure"),
    [
        pytest.param({"ending": "ERROR"}, "ended as ERROR (BUILD_FAILED)", id="the build failed"),
        pytest.param({"ending": "CANCELED"}, "ended as CANCELED", id="cancelled"),
        pytest.param({"substate": "STAGED"}, "waits to be promoted", id="staged"),
        pytest.param({"alias_error": {"code": "cert", "message": "m"}}, "domains were not given", id="no domain"),
    ],
)
def test_a_deployment_that_serves_nobody_has_failed(twin: VercelTwin, facts: dict[str, Any], failure: str) -> None:
    for name, value in facts.items():
        setattr(twin.project, name, value)
    ours = project(twin)
    made = ours.redeploy("restore-1")
    until(lambda: ours.deployment(made.id).progress is not Progress.CREATING)

    found = ours.deployment(made.id)

    assert found.progress is Progress.FAILED
    assert failure in found.failure


METHODS: dict[str, Callable[[VercelProject], object]] = {
    "variables": lambda ours: ours.variables(),
    "set_variables": lambda ours: ours.set_variables({"DATABASE_URL": VALUE}),
    "redeploy": lambda ours: ours.redeploy("restore-1"),
    "deployment": lambda ours: ours.deployment("dpl_1"),
}
FAULTS: list[tuple[int, bytes | None, type[HoldfastError]]] = [
    (400, None, ProviderRefused),
    (401, None, ProviderUnauthorised),
    (403, None, ProviderUnauthorised),
    (404, None, ProviderMissing),
    (409, None, ProviderRefused),
    (422, None, ProviderRefused),
    (423, None, ProviderBusy),
    (429, None, ProviderBusy),
    (500, None, ProviderUnreachable),
    (503, None, ProviderBusy),
    (200, b"<html>", UnexpectedState),
    (200, b'{"unheard": "of"}', UnexpectedState),
]


@pytest.mark.parametrize("method", METHODS)
def test_each_fault_is_told_as_what_it_is(twin: VercelTwin, method: str) -> None:
    for status, raw, becomes in FAULTS:
        message = f"It went wrong at {VALUE} with {twin.key}"
        twin.faults.extend(Fault(status=status, raw=raw, message=message) for _ in range(20))
        with pytest.raises(HoldfastError) as raised:
            METHODS[method](project(twin, sleep=lambda _: None))
        twin.faults.clear()
        assert type(raised.value) is becomes, f"{status}: {raised.value}"
        assert "correct-horse" not in str(raised.value)
        assert twin.key not in str(raised.value)


def test_a_change_is_not_sent_again_after_silence(twin: VercelTwin) -> None:
    twin.faults.append(Fault(status=500, method="POST"))

    with pytest.raises(ProviderUnreachable):
        project(twin).set_variables({"DATABASE_URL": VALUE})
    assert values(twin) == {}


def test_an_update_beside_another_one_waits(twin: VercelTwin) -> None:
    twin.faults.append(Fault(status=400, message="Another concurrent env update is in progress", method="POST"))

    project(twin).set_variables({"DATABASE_URL": VALUE})

    assert values(twin) == {"DATABASE_URL": VALUE}
