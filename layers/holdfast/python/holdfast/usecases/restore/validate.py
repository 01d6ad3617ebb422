"""Run the checks of `holdfast.toml` on the restored database."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from holdfast.adapters.postgres.checking import connect_for_checks, first_value
from holdfast.adapters.postgres.connect import Connection
from holdfast.configuration import Check
from holdfast.contracts.restore import RestoreStep, Validation
from holdfast.model.keys import RunKeys
from holdfast.usecases.restore.targets import configured_database
from holdfast.usecases.restore.world import World

VALIDATION = "validation.json"


def validate(request: RestoreStep, world: World) -> Validation:
    """Return whether every configured check yields what it must; a check that fails to run has not passed."""
    plan = world.plan(request.restore_id)
    checks = configured_database(world.configuration, plan.database).checks
    failures: tuple[str, ...] = ()
    if checks:
        with connect_for_checks(world.target(plan)) as connection:
            failures = tuple(_failures(connection, checks))
    answer = Validation(restore_id=plan.restore_id, passed=not failures, checks=len(checks), failures=failures)
    world.write(RunKeys("restore", plan.restore_id).document(VALIDATION), answer)
    return answer


def _failures(connection: Connection, checks: tuple[Check, ...]) -> Iterator[str]:
    for check in checks:
        try:
            value = first_value(connection, check.sql)
        except psycopg.Error as error:
            # The server's sentence may quote rows; its code cannot.
            yield f"The check {check.name!r} could not be run: the server reported {error.sqlstate or 'no answer'}."
            if connection.closed:
                return
            continue
        if value is None:
            yield f"The check {check.name!r} yielded nothing; {check.expect!r} was expected."
        elif value != check.expect:
            yield f"The check {check.name!r} did not yield {check.expect!r}."
