"""What functions may do with buckets and keys, judged by the inventory: no more, and no less."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from holdfast_infra.inventory import Access

from .conftest import Assembly
from .test_functions import NAMES, as_list, resources_of, statements

pytestmark = pytest.mark.xdist_group("infra")


def test_only_chunks_can_be_withdrawn(assembly: Assembly) -> None:
    found = resources_of(assembly, "vault-verify-check", "s3:DeleteObject")

    assert "/*/chunks/*" in found
    assert found.count("Fn::Join") == 1


def test_only_versions_of_chunks_can_be_removed(assembly: Assembly) -> None:
    found = resources_of(assembly, "vault-retention-collect", "s3:DeleteObjectVersion")

    assert "/*/chunks/*" in found
    assert found.count("Fn::Join") == 1
    assert "/*/collections/*" in resources_of(assembly, "vault-retention-collect", "s3:PutObject")


def test_whoever_removes_points_reads_and_removes_no_chunk(assembly: Assembly) -> None:
    for action in ("s3:DeleteObjectVersion", "s3:DeleteObject"):
        found = resources_of(assembly, "vault-retention-prune", action)
        assert re.findall(r'"(/[^"]*)"', found) == ["/*/points/*"]
    for action in ("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"):
        found = resources_of(assembly, "vault-retention-prune", action)
        assert set(re.findall(r'"(/[^"]*)"', found)) <= {"/*/points/*", "/*/deletions/*", "/prune/*"}


@pytest.mark.parametrize("name", NAMES)
def test_a_function_touches_only_its_own_workflows_part_of_the_scratch_bucket(assembly: Assembly, name: str) -> None:
    """Sealing signs what results in the scratch bucket say, so nothing but backups may write them."""
    _, plan = NAMES[name]
    own = {"snapshot": "backup", "retention": plan.name}.get(plan.capability, plan.capability)

    for action in ("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"):
        parts = set(re.findall(r'Scratch\w+"}, "(/[^"]*)"', resources_of(assembly, name, action)))
        assert parts <= {f"/{own}/*"}
        assert bool(parts) == (Access.WRITE_SCRATCH in plan.access)


def conditions_of(assembly: Assembly, name: str, action: str, resource: str) -> list[dict[str, Any]]:
    """Return the conditions under which the role called *name* may do *action* on *resource* (a part of its text)."""
    return [
        each.get("Condition", {})
        for each in statements(assembly, name)
        if action in as_list(each["Action"]) and resource in json.dumps(each["Resource"])
    ]


READS = {Access.READ_ARCHIVE, Access.READ_CATALOGUE}
WRITES = {
    Access.WRITE_CATALOGUE,
    Access.WRITE_CHUNKS,
    Access.WRITE_POINTS,
    Access.WRITE_RECEIPTS,
    Access.WRITE_DELETIONS,
    Access.WRITE_PROTECTIONS,
    Access.WRITE_SCRATCH,
}


@pytest.mark.parametrize("name", NAMES)
def test_who_reads_decrypts_and_who_writes_makes_data_keys(assembly: Assembly, name: str) -> None:
    _, plan = NAMES[name]
    for action, wanted in {"kms:Decrypt": READS | WRITES, "kms:GenerateDataKey": WRITES}.items():
        found = conditions_of(assembly, name, action, "DataKey")
        assert len(found) == bool(plan.access & wanted), action
        for condition in found:
            services = json.dumps(condition["StringEquals"]["kms:ViaService"])
            assert all(f'"{service}.eu-central-1."' in services for service in ("dynamodb", "s3"))
            assert services.count("AWS::URLSuffix") == 2


@pytest.mark.parametrize("name", NAMES)
def test_a_secrets_own_key_is_used_for_that_secret_only(assembly: Assembly, name: str) -> None:
    secrets = resources_of(assembly, name, "secretsmanager:GetSecretValue")

    found = conditions_of(assembly, name, "kms:Decrypt", ":key/*")

    assert len(found) == bool(secrets)
    for condition in found:
        named = as_list(condition["StringLike"]["kms:EncryptionContext:SecretARN"])
        assert all(json.dumps(secret) in secrets for secret in named)
        assert len(named) == secrets.count(":secret:")
        assert "secretsmanager." in json.dumps(condition["StringEquals"]["kms:ViaService"])
