"""
Carry out AWS::KMS::ReplicaKey, which ministack's CloudFormation does not know: the replica of a multi-Region key.

Differences from AWS that remain: who may replicate a key is not judged, since a stack acts as the account's root here.
"""

from __future__ import annotations

import json
from typing import Any

from holdfast_local.cloud import hooks
from holdfast_local.cloud.errors import HookBroken

TYPE = "AWS::KMS::ReplicaKey"
Answer = tuple[str, dict[str, str]]


def install() -> None:
    """Let stacks have replicas of keys."""
    handlers = hooks.module("ministack.services.cloudformation.provisioners")._RESOURCE_HANDLERS
    original = handlers["AWS::KMS::Key"]
    if TYPE in handlers:
        raise HookBroken(f"{TYPE} is known by now.")
    handlers[TYPE] = {"create": create, "update": update, "delete": original["delete"]}


def create(logical_id: str, props: dict[str, Any], stack_name: str) -> Answer:
    """Replicate the primary key into the stack's region, with the replica's own policy."""
    del stack_name
    kms, responses = hooks.module("ministack.services.kms"), hooks.module("ministack.core.responses")
    here, account = responses.get_region(), responses.get_account_id()
    primary = props["PrimaryKeyArn"]
    request = {
        "KeyId": primary,
        "ReplicaRegion": here,
        "Description": props.get("Description", ""),
        "Policy": json.dumps(props["KeyPolicy"]),
        "Tags": [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in props.get("Tags") or []],
    }
    with responses.request_scope(account, primary.split(":")[3]):
        status, _, body = kms._replicate_key(request)
    answer = json.loads(body)
    if status != 200:
        raise ValueError(f"{TYPE} {logical_id}: {answer.get('message')}")
    return _answer(answer["ReplicaKeyMetadata"])


def update(physical_id: str, old_props: dict[str, Any], new_props: dict[str, Any], stack_name: str) -> Answer:
    """Give the replica another policy or description; another primary needs another replica."""
    del stack_name
    if old_props["PrimaryKeyArn"] != new_props["PrimaryKeyArn"]:
        raise ValueError(f"{TYPE} {physical_id}: nobody replaces it in the local cloud")
    key = hooks.module("ministack.services.kms")._resolve_key(physical_id)
    key.update(Policy=json.dumps(new_props["KeyPolicy"]), Description=new_props.get("Description", ""))
    return _answer(key)


def _answer(key: dict[str, Any]) -> Answer:
    return key["KeyId"], {"Arn": key["Arn"], "KeyId": key["KeyId"]}
