"""
Let policies see what they see on AWS.

ministack judges identity, resource and key policies. Corrected here:

- `aws:PrincipalArn` of an assumed role is the role's ARN, not the session's;
- `aws:SecureTransport` is true although the endpoint is plain HTTP: the loopback interface stands for TLS;
- `aws:SourceAccount` is this account when a service assumes a role, which is the root's doing here.

Differences from AWS that remain: the credentials `test` of the deployer are the account's root and pass
every refusal, so a refusal is proved only with a role; a key named by its alias is judged by the alias's
ARN; policies of VPC endpoints and service control policies are not judged.
"""

from __future__ import annotations

from typing import Any

from holdfast_local.cloud import hooks


def install() -> None:
    """Correct the condition keys of every policy decision."""
    evaluator = hooks.module("ministack.core.iam_evaluator")
    application = hooks.module("ministack.app")
    resolve = evaluator._resolve_condition_key

    def resolve_key(key: str, ctx: Any) -> Any:
        value, name = resolve(key, ctx), key.lower()
        if name == "aws:sourceaccount" and value is None and _service_takes_role(ctx):
            return ctx.principal_account
        return role_of_session(str(value)) if name == "aws:principalarn" and value else value

    hooks.replace(evaluator, "_resolve_condition_key", resolve_key, expects=("key", "ctx"))
    pin = application.pin_request_origin
    hooks.replace(
        application,
        "pin_request_origin",
        lambda source_ip, secure_transport: pin(source_ip, True),  # noqa: ARG005
        expects=("source_ip", "secure_transport"),
    )


def _service_takes_role(ctx: Any) -> bool:
    return bool(ctx.principal_type == "Root" and ctx.action == "sts:AssumeRole")


def role_of_session(arn: str) -> str:
    """Return the ARN of the role behind an assumed role's session, and any other ARN as it is."""
    if ":assumed-role/" not in arn:
        return arn
    prefix, session = arn.split(":assumed-role/")
    name = session.split("/")[0]
    role = hooks.module("ministack.services.iam")._roles.get(name) or {}
    return str(role.get("Arn") or f"{prefix.replace(':sts:', ':iam:')}:role/{name}")


def role_session(role: str, *, name: str, region: str) -> dict[str, str]:
    """Return client credentials for a session of *role*, called *name*."""
    account = role.split(":")[4]
    service = hooks.module("ministack.core.lambda_runtime")
    session = service.execution_credentials(
        {"FunctionArn": f"arn:aws:lambda:{region}:{account}:function:{name}", "Role": role, "FunctionName": name}
    )
    return {
        "aws_access_key_id": session["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": session["AWS_SECRET_ACCESS_KEY"],
        "aws_session_token": session["AWS_SESSION_TOKEN"],
    }
