"""The policies for people: see, operate, approve, and never rows or secrets."""

from __future__ import annotations

import json
import re

import pytest

from .conftest import Assembly
from .test_functions import as_list

pytestmark = pytest.mark.xdist_group("infra")


def policy(assembly: Assembly, name: str) -> set[str]:
    """Return the actions of one policy for people."""
    found = assembly.resources("workflows", "IAM::ManagedPolicy").values()
    (one,) = [each["Properties"] for each in found if each["Properties"]["ManagedPolicyName"] == f"vault-{name}"]
    statements = one["PolicyDocument"]["Statement"]
    return {action for each in statements for action in (as_list(each["Action"]))}


def test_a_viewer_changes_nothing(assembly: Assembly) -> None:
    verbs = {action.partition(":")[2] for action in policy(assembly, "viewer")}

    assert all(
        verb.startswith(("Get", "List", "Describe", "Query", "Filter")) or verb in {"Decrypt", "Verify"}
        for verb in verbs
    )


def test_an_operator_also_starts_and_stops_runs(assembly: Assembly) -> None:
    more = policy(assembly, "operator") - policy(assembly, "viewer")

    assert more == {"states:StartExecution", "states:StopExecution"}


def test_an_approver_also_answers_and_does_not_start(assembly: Assembly) -> None:
    more = policy(assembly, "approver") - policy(assembly, "viewer")

    assert more == {"states:SendTaskFailure", "states:SendTaskSuccess"}


@pytest.mark.parametrize("name", ["viewer", "operator", "approver"])
def test_people_read_neither_rows_nor_secrets(assembly: Assembly, name: str) -> None:
    found = assembly.named("workflows", "IAM::ManagedPolicy", f"People{name.capitalize()}")
    readable = [
        json.dumps(each["Resource"])
        for each in found["Properties"]["PolicyDocument"]["Statement"]
        if "s3:GetObject" in as_list(each["Action"])
    ]

    assert not [action for action in policy(assembly, name) if action.startswith("secretsmanager:")]
    assert len(readable) == 1
    assert set(re.findall(r'"(/[^"]*)"', readable[0])) == {
        "/*/points/*/manifest.json",
        "/*/points/*/manifest.sig",
        "/*/points/*/public-key.pem",
        "/*/points/*/verification.json",
        "/*/points/*/RESTORE.md",
        "/restore/*/plan.json",
        "/restore/*/report.json",
        "/restore/*/progress/*",
        "/prune/*/decisions.json",
    }


def readable(assembly: Assembly, name: str) -> set[str]:
    """Return as JSON what the policy lets people read of buckets."""
    found = assembly.named("workflows", "IAM::ManagedPolicy", f"People{name.capitalize()}")
    statements = found["Properties"]["PolicyDocument"]["Statement"]
    return {
        json.dumps(one)
        for each in statements
        if "s3:GetObject" in as_list(each["Action"])
        for one in as_list(each["Resource"])
    }


def test_a_downloader_also_reads_the_archive_and_does_no_more(assembly: Assembly) -> None:
    (more,) = readable(assembly, "downloader") - readable(assembly, "viewer")

    assert policy(assembly, "downloader") == policy(assembly, "viewer")
    assert "Archive" in more
    assert re.findall(r'"(/[^"]*)"', more) == ["/*"]
