"""
Check and complete functions, state machines and roles as AWS does when a stack makes them.

AWS refuses a function or state machine whose role its service may not assume, and a definition that is
not valid; ministack takes both. A function for another processor or Python cannot run on this machine,
which is better said at once than as an ImportError later.
"""

from __future__ import annotations

import json
import platform
import sys
from typing import Any

from holdfast_local.cloud import executions, hooks, interpreter, resources

ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


def install() -> None:
    """Check and complete them whenever a stack makes or updates one."""
    resources.extend("AWS::Lambda::Function", apply_function)
    resources.extend("AWS::Lambda::LayerVersion", apply_layer)
    resources.extend("AWS::StepFunctions::StateMachine", apply_machine)
    resources.extend("AWS::IAM::Role", apply_role)


def host_architecture() -> str:
    """Return Lambda's name for this machine's processor."""
    return ARCHITECTURES.get(platform.machine().lower(), platform.machine())


def host_runtime() -> str:
    """Return Lambda's name for this Python."""
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def apply_function(name: str, properties: dict[str, Any]) -> None:
    """Check that the function can run here, and keep what ministack drops."""
    service = hooks.module("ministack.services.lambda_svc")
    wanted = (properties.get("Runtime", ""), properties.get("Architectures", [host_architecture()]))
    if wanted != (host_runtime(), [host_architecture()]):
        raise ValueError(
            f"Function {name} is for {wanted[0]} on {', '.join(wanted[1])}; this machine runs {host_runtime()} on "
            f"{host_architecture()}. Synthesize the app for this machine (context target=host)."
        )
    _require_trust(properties["Role"], "lambda.amazonaws.com", f"Function {name}")
    function = service._functions.get(name)
    if not function["code_zip"]:
        raise ValueError(f"Function {name}: there is no package at {properties['Code']}.")
    for key in ("DeadLetterConfig", "VpcConfig", "KmsKeyArn"):
        if properties.get(key):
            function["config"][key] = properties[key]
        else:
            function["config"].pop(key, None)
    reserved = properties.get("ReservedConcurrentExecutions")
    function["concurrency"] = None if reserved is None else int(reserved)


def apply_layer(arn: str, properties: dict[str, Any]) -> None:
    """Check that the layer has content; ministack would leave it out of its functions without a word."""
    name, _, version = arn.rpartition(":layer:")[2].partition(":")
    service = hooks.module("ministack.services.lambda_svc")
    found = next(one for one in service._layers[name]["versions"] if one["Version"] == int(version))
    if not found["_zip_data"]:
        raise ValueError(f"Layer {name}: there is no package at {properties['Content']}.")


def apply_machine(arn: str, properties: dict[str, Any]) -> None:
    """Check the definition and who may assume the role."""
    machine = hooks.module("ministack.services.stepfunctions")._state_machines[arn]
    check_definition(machine["definition"])
    _require_trust(properties["RoleArn"], "states.amazonaws.com", f"State machine {machine['name']}")


def apply_role(name: str, properties: dict[str, Any]) -> None:
    """Keep the permissions boundary, which policies are judged with."""
    if "PermissionsBoundary" in properties:
        role = hooks.module("ministack.services.iam")._roles[name]
        role["PermissionsBoundary"] = properties["PermissionsBoundary"]


def check_definition(definition: str) -> None:
    """Raise ValueError when *definition* is not valid, or leads to a state that does not exist."""
    try:
        interpreter.parse(executions.as_parsed(definition))
    except Exception as error:
        raise ValueError(f"The definition of the state machine is not valid: {error}") from error
    _check_states(json.loads(definition))


def _check_states(part: dict[str, Any]) -> None:
    states = part["States"]
    targets = {part["StartAt"]}
    for state in states.values():
        targets |= _targets_of(state)
        for inner in [*state.get("Branches", []), state.get("ItemProcessor"), state.get("Iterator")]:
            if inner:
                _check_states(inner)
    if missing := targets - states.keys():
        raise ValueError(f"The definition leads to states that do not exist: {', '.join(sorted(missing))}.")


def _targets_of(state: dict[str, Any]) -> set[str]:
    rules = [state, *state.get("Catch", []), *state.get("Choices", [])]
    return {rule["Next"] for rule in rules if "Next" in rule} | ({state["Default"]} if "Default" in state else set())


def _require_trust(role_arn: str, service: str, who: str) -> None:
    name = role_arn.rsplit("/", 1)[-1]
    role = hooks.module("ministack.services.iam")._roles.get(name)
    if role is None:
        raise ValueError(f"{who}: the role {role_arn} does not exist.")
    document = json.loads(role["AssumeRolePolicyDocument"] or "{}")
    statements = document.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        principals = (statement.get("Principal") or {}).get("Service", [])
        named = [principals] if isinstance(principals, str) else principals
        if statement.get("Effect") == "Allow" and any(_same_service(one, service) for one in named):
            return
    raise ValueError(f"{who}: the role {name} cannot be assumed by {service}.")


def _same_service(principal: str, service: str) -> bool:
    # `states.eu-central-1.amazonaws.com` is the regional name of the same service.
    parts = principal.split(".")
    return f"{parts[0]}.amazonaws.com" == service
