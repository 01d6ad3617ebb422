"""Every call of AWS that a restore makes fails once, each in another way, and the restore ends proven."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from faults.injecting import KINDS, NO_SUCH_KEY, Rotating, swept
from holdfast.adapters.aws import Clients, DynamoRestores, S3Archive, S3Scratch, SecretsManager
from holdfast.adapters.counted_archive import CountedArchive
from holdfast.contracts.restore import PrepareRequest, ReportRequest, RestoreStep
from holdfast.usecases.restore.assess import assess
from holdfast.usecases.restore.compare import compare
from holdfast.usecases.restore.finish import finish
from holdfast.usecases.restore.load import load
from holdfast.usecases.restore.prepare import prepare
from holdfast.usecases.restore.prove import prove
from holdfast.usecases.restore.report import report
from holdfast.usecases.restore.validate import validate
from restore.archiving import Archiver
from restore.running import machine
from snapshot.servers import USERS, Databases

BEFORE_OR_AFTER = tuple(kind for kind in KINDS if not kind.torn)


def test_each_call_of_a_restore_that_fails_is_told_and_the_repetition_converges(
    databases: Databases, clients: Clients
) -> None:
    source = databases.create(USERS)
    archive: Any = S3Archive(clients.s3, "archive", sleep=lambda _: None)
    archiver = Archiver(archive=archive)
    archiver.take(source)
    clients.secrets_manager.create_secret(Name="holdfast/shop", SecretString=databases.server.url(source.dbname))
    made = machine(archiver, {}, checks=[{"name": "rows", "sql": "SELECT count(*) FROM users", "expect": "1000"}])
    world = replace(
        made.world,
        archive=CountedArchive(archive),
        scratch=S3Scratch(clients.s3, "scratch"),
        secrets=SecretsManager(clients.secrets_manager),
        restores=DynamoRestores(clients.dynamodb, "catalogue"),
    )
    restore = replace(made, world=world, scratch=world.scratch)  # type: ignore[arg-type]
    injector = Rotating(KINDS[0], kinds=BEFORE_OR_AFTER)
    injector.install(clients)
    failed: dict[str, list[str]] = {}

    def sweep(name: str, work: Any) -> Any:
        answer, found = swept(injector, work)
        failed[name] = failed.get(name, []) + found
        return answer

    wanted = restore.request(f"{source.dbname}_restored")
    assessed = sweep("assess", lambda: assess(wanted, world))
    # What is missing when a restore is assessed is damage, which fails the point.
    injector.kinds = (*BEFORE_OR_AFTER, NO_SUCH_KEY)
    step = RestoreStep(restore_id=assessed.restore_id)
    sweep("prepare", lambda: prepare(PrepareRequest(restore_id=assessed.restore_id, slice=0), world))
    for item in restore.items(assessed.load):
        load(item, world)
    for stage in assessed.finish:
        for item in restore.items(stage.items):
            sweep("finish", lambda item=item: finish(item, world))
    for item in restore.items(assessed.prove):
        sweep("prove", lambda item=item: prove(item, world))
    proof = sweep("compare", lambda: compare(step, world))
    validation = sweep("validate", lambda: validate(step, world))
    ended = ReportRequest(execution=wanted.execution, database="shop", restore_id=assessed.restore_id)
    reported = sweep("report", lambda: report(ended, world))

    assert proof.proven
    assert validation.passed
    assert reported.succeeded
    run = world.restores.get(assessed.restore_id)
    assert run is not None
    assert run.state == "succeeded"
    assert all(failed.values())
    assert len(failed) == 7
