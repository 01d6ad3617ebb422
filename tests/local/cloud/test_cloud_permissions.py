"""Permissions as AWS judges them: of a function's role, of a key's policy, of a secret."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def statement(effect, actions, resource="*", **more):
    return {"Effect": effect, "Action": actions, "Resource": resource, **more}


def role(*statements):
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": trust,
            "Policies": [{"PolicyName": "own", "PolicyDocument": document}],
        },
    }


@pytest.fixture(scope="module")
def deployed(cloud, tmp_path_factory):
    """Deploy keys that only one role may sign with, a secret, and functions with several roles."""

    def function(role_name):
        return {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Code": {
                    "S3Bucket": {"Fn::Sub": "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"},
                    "S3Key": "{code}",
                },
                "Handler": "main.main",
                "Runtime": cloud.runtime,
                "Role": {"Fn::GetAtt": [role_name, "Arn"]},
                "Timeout": 20,
                "MemorySize": 256,
                "Layers": [cloud.outputs["SdkLayer"]],
            },
        }

    def key(spec, usage, actions):
        sealing = {"Fn::GetAtt": ["SealRole", "Arn"]}
        only_seal = {"ArnNotEquals": {"aws:PrincipalArn": sealing}}
        account = {"AWS": {"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:root"}}
        policy = [
            statement("Allow", "kms:*", Principal=account),
            statement("Deny", actions, Principal={"AWS": "*"}, Condition=only_seal),
        ]
        return {
            "Type": "AWS::KMS::Key",
            "Properties": {
                "KeySpec": spec,
                "KeyUsage": usage,
                "KeyPolicy": {"Version": "2012-10-17", "Statement": policy},
            },
        }

    uses = ["kms:Sign", "kms:GenerateMac", "kms:VerifyMac", "kms:GetPublicKey", "kms:Verify"]
    template = {
        "Resources": {
            "SealRole": role(statement("Allow", uses)),
            "OtherRole": role(
                statement("Allow", uses), statement("Allow", "secretsmanager:GetSecretValue", {"Ref": "Secret"})
            ),
            "BareRole": role(statement("Allow", "logs:*")),
            "Seal": function("SealRole"),
            "Other": function("OtherRole"),
            "Bare": function("BareRole"),
            "Signing": key("ECC_NIST_P256", "SIGN_VERIFY", ["kms:Sign"]),
            "Mac": key("HMAC_256", "GENERATE_VERIFY_MAC", ["kms:GenerateMac"]),
            "Secret": {
                "Type": "AWS::SecretsManager::Secret",
                "Properties": {"SecretString": '{"url": "postgres://…"}'},
            },
        },
        "Outputs": {
            **{name: {"Value": {"Ref": name}} for name in ("Seal", "Other", "Bare", "Secret")},
            **{name: {"Value": {"Fn::GetAtt": [name, "Arn"]}} for name in ("Signing", "Mac")},
        },
    }
    return cloud.deploy(tmp_path_factory.mktemp("permissions"), template)


@pytest.fixture
def call(cloud, deployed):
    def make(function, service, operation, texts=(), **parameters):
        event = {
            "op": "call",
            "service": service,
            "operation": operation,
            "parameters": parameters,
            "bytes": list(texts),
        }
        return cloud.invoke(deployed.get(function, function), event)

    return make


def sign(call, function, deployed):
    return call(
        function,
        "kms",
        "sign",
        texts=["Message"],
        KeyId=deployed["Signing"],
        Message="manifest",
        MessageType="RAW",
        SigningAlgorithm="ECDSA_SHA_256",
    )


def test_the_sealing_role_signs_and_anyone_verifies_with_the_public_key(cloud, call, deployed) -> None:
    signature = bytes.fromhex(sign(call, "Seal", deployed)["Signature"])
    public = cloud.client("kms").get_public_key(KeyId=deployed["Signing"])
    loaded = serialization.load_der_public_key(public["PublicKey"])

    assert public["KeySpec"] == "ECC_NIST_P256"
    loaded.verify(signature, b"manifest", ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        loaded.verify(signature, b"another", ec.ECDSA(hashes.SHA256()))


def test_another_role_is_refused_by_the_key_s_policy(call, deployed) -> None:
    refused = sign(call, "Other", deployed)

    assert refused["error"] == "AccessDeniedException"


def test_another_role_may_read_the_public_key(call, deployed) -> None:
    assert call("Other", "kms", "get_public_key", KeyId=deployed["Signing"])["KeySpec"] == "ECC_NIST_P256"


def test_a_mac_is_made_by_one_role_and_verified_by_others(call, deployed) -> None:
    request = {"KeyId": deployed["Mac"], "Message": "m", "MacAlgorithm": "HMAC_SHA_256"}

    made = call("Seal", "kms", "generate_mac", texts=["Message"], **request)
    refused = call("Other", "kms", "generate_mac", texts=["Message"], **request)

    assert len(bytes.fromhex(made["Mac"])) == 32
    assert refused["error"] == "AccessDeniedException"


def test_a_secret_is_read_by_the_role_that_was_granted_it_alone(call, deployed) -> None:
    granted = call("Other", "secretsmanager", "get_secret_value", SecretId=deployed["Secret"])
    refused = call("Bare", "secretsmanager", "get_secret_value", SecretId=deployed["Secret"])

    assert deployed["Secret"].startswith("arn:aws:secretsmanager:")
    assert granted["SecretString"] == '{"url": "postgres://…"}'
    assert refused["error"] == "AccessDeniedException"


def test_a_bucket_that_was_not_granted_is_refused(cloud, call) -> None:
    granted = call(cloud.outputs["Worker"], "s3", "put_object", Bucket=cloud.outputs["Scratch"], Key="p", Body="x")
    refused = call(cloud.outputs["Worker"], "s3", "put_object", Bucket=cloud.outputs["Other"], Key="p", Body="x")

    assert "VersionId" in granted
    assert refused["error"] == "AccessDenied"


def test_a_state_machine_acts_with_its_role(cloud, tmp_path) -> None:
    import json

    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    template = {
        "Resources": {"Bare": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}}},
        "Outputs": {"Bare": {"Value": {"Fn::GetAtt": ["Bare", "Arn"]}}},
    }
    bare = cloud.deploy(tmp_path, template)["Bare"]
    states = cloud.client("stepfunctions")
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": cloud.outputs["WorkerArn"], "Payload": {}},
        "End": True,
    }
    machine = states.create_state_machine(
        name="bare", definition=json.dumps({"StartAt": "S", "States": {"S": task}}), roleArn=bare
    )["stateMachineArn"]

    ended = cloud.await_end(
        states.start_execution(stateMachineArn=machine)["executionArn"], __import__("time").monotonic()
    )

    assert ended["error"] == "Lambda.AccessDeniedException", ended["cause"]
