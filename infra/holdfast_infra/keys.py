"""
The three keys of a region: of data at rest, of signatures, of content digests.

The data key is each region's own. The other two are multi-Region keys, whose replicas sign and digest alike: what one
region has sealed is believed, and compared, in the other. A key is of many regions from its birth or never, so
these are even where no second region is configured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import Aws, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from holdfast.configuration import Configuration
from holdfast_infra.inventory import ONCE, Access, with_access
from holdfast_infra.names import Names, networks_in_use


@dataclass(frozen=True)
class Reserved:
    """One kind of use of a key that only functions with *access* have."""

    sid: str
    action: str
    access: Access


SIGNING = Reserved("OnlySealingSigns", "kms:Sign", Access.SIGN)
DIGESTING = Reserved("OnlyDigestingDerives", "kms:GenerateMac", Access.DERIVE_DIGEST_KEYS)
SIGNING_WORDS = "Signs manifests. Only the sealing functions may sign with it; anybody may verify."
DIGEST_WORDS = "Derives the secret base of each database's content digests."


def data_key(scope: Construct, *, names: Names) -> kms.Key:
    """Add the key that encrypts what lies in a region."""
    return kms.Key(
        scope,
        "DataKey",
        alias=names.data_key_alias,
        description="Encrypts the archive, the catalogue, scratch and audit buckets and alerts.",
        enable_key_rotation=True,
        removal_policy=RemovalPolicy.RETAIN,
    )


def signing_key(scope: Construct, *, names: Names, configuration: Configuration) -> kms.Key:
    """Add the primary of the key that seals manifests."""
    key = kms.Key(
        scope,
        "SigningKey",
        alias=f"alias/{names.system}/signing",
        description=SIGNING_WORDS,
        key_spec=kms.KeySpec.ECC_NIST_P256,
        key_usage=kms.KeyUsage.SIGN_VERIFY,
        multi_region=True,
        removal_policy=RemovalPolicy.RETAIN,
    )
    _restrict(key, SIGNING, names=names, configuration=configuration)
    return key


def digest_key(scope: Construct, *, names: Names, configuration: Configuration) -> kms.Key:
    """Add the primary of the key that digests' secret bases come from."""
    key = kms.Key(
        scope,
        "DigestKey",
        alias=f"alias/{names.system}/digest",
        description=DIGEST_WORDS,
        key_spec=kms.KeySpec.HMAC_256,
        key_usage=kms.KeyUsage.GENERATE_VERIFY_MAC,
        multi_region=True,
        removal_policy=RemovalPolicy.RETAIN,
    )
    _restrict(key, DIGESTING, names=names, configuration=configuration)
    return key


def replica_key(
    scope: Construct,
    id: str,
    *,
    primary: str,
    words: str,
    reserved: Reserved,
    names: Names,
    configuration: Configuration,
) -> kms.CfnReplicaKey:
    """Add this region's replica of the multi-Region key *primary*; its policy is its own and reserves the same use."""
    own = iam.PolicyStatement(
        principals=[iam.AccountRootPrincipal()], actions=["kms:*"], resources=["*"], sid="TheAccountAdministers"
    )
    statements = [own, _reservation(reserved, names=names, configuration=configuration)]
    key = kms.CfnReplicaKey(
        scope,
        id,
        primary_key_arn=primary,
        description=words,
        key_policy=iam.PolicyDocument(statements=statements),
    )
    key.apply_removal_policy(RemovalPolicy.RETAIN)
    return key


def _restrict(key: kms.Key, reserved: Reserved, *, names: Names, configuration: Configuration) -> None:
    key.add_to_resource_policy(_reservation(reserved, names=names, configuration=configuration))
    key.add_to_resource_policy(_only_where_configured(configuration.holdfast.second_region))


def _reservation(reserved: Reserved, *, names: Names, configuration: Configuration) -> iam.PolicyStatement:
    """Deny the use to everybody but the functions that need it, whatever an identity's own policy allows."""
    return _deny(
        reserved.sid,
        reserved.action,
        {"ArnNotEquals": {"aws:PrincipalArn": _roles(reserved.access, names, configuration)}},
    )


def _only_where_configured(region: str | None) -> iam.PolicyStatement:
    """Deny replicas, whose policies are their own, anywhere but in the second region."""
    conditions = {"StringNotEquals": {"kms:ReplicaRegion": region}} if region else {}
    return _deny("NoOtherRegionHasAReplica", "kms:ReplicateKey", conditions)


def _deny(sid: str, action: str, conditions: Mapping[str, Mapping[str, object]]) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid=sid,
        effect=iam.Effect.DENY,
        principals=[iam.AnyPrincipal()],
        actions=[action],
        resources=["*"],
        conditions=conditions,
    )


def _roles(access: Access, names: Names, configuration: Configuration) -> list[str]:
    places: tuple[str | None, ...]
    arns = []
    for plan in with_access(access):
        places = (None,) if plan in ONCE else networks_in_use(configuration)
        arns += [
            f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:role/"
            + names.role(names.function(plan.capability, plan.name, place))
            for place in places
        ]
    return arns
