"""What a template may say here, and what happens to what nobody carries out."""

from __future__ import annotations

import json
import uuid

import pytest

from holdfast_local.cloud import properties
from holdfast_local.cloud.errors import DeploymentFailed

LAMBDA_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def resource(kind, **fields):
    return {"Resources": {"R": {"Type": kind, "Properties": fields}}, "Outputs": {"R": {"Value": {"Ref": "R"}}}}


@pytest.mark.parametrize(
    ("template", "named"),
    [
        pytest.param(resource("AWS::S3::Bucket", AccelerateConfiguration={}), "AccelerateConfiguration", id="bucket"),
        pytest.param(resource("AWS::KMS::Key", Colour="red"), "Colour", id="key"),
        pytest.param(resource("AWS::Neptune::DBCluster"), "AWS::Neptune::DBCluster", id="a type nobody makes"),
        pytest.param(resource("AWS::ECS::Cluster"), "AWS::ECS::Cluster", id="a type that nobody has read"),
        pytest.param(
            resource("AWS::S3::Bucket", LifecycleConfiguration={"Rules": [{"Status": "Enabled", "NewRule": 1}]}),
            "NewRule",
            id="inside a lifecycle rule",
        ),
    ],
)
def test_a_stack_fails_on_what_nobody_carries_out(cloud, tmp_path, template, named) -> None:
    with pytest.raises(DeploymentFailed, match=named):
        cloud.deploy(tmp_path, template)


def test_what_would_be_refused_is_found_without_a_server() -> None:
    template = {
        "Resources": {
            "Good": {"Type": "AWS::SQS::Queue", "Properties": {"DelaySeconds": 1}},
            "Bad": {"Type": "AWS::SQS::Queue", "Properties": {"Speed": 1}},
        }
    }

    assert properties.unknown_in(template) == ["AWS::SQS::Queue Bad: nobody carries out Speed in the local cloud"]


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        pytest.param({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}, "do not exist", id="next"),
        pytest.param({"StartAt": "Z", "States": {"A": {"Type": "Pass", "End": True}}}, "do not exist", id="start"),
        pytest.param({"StartAt": "A", "States": {"A": {"Type": "Dance", "End": True}}}, "not valid", id="unknown type"),
        pytest.param({"States": {}}, "not valid", id="nothing"),
    ],
)
def test_a_state_machine_that_is_not_valid_fails_its_stack(cloud, tmp_path, definition, reason) -> None:
    template = resource(
        "AWS::StepFunctions::StateMachine",
        DefinitionString=json.dumps(definition),
        RoleArn=cloud.outputs["StatesRole"],
    )

    with pytest.raises(DeploymentFailed, match=reason):
        cloud.deploy(tmp_path, template)


def test_a_function_for_another_python_fails_its_stack(cloud, tmp_path) -> None:
    template = resource(
        "AWS::Lambda::Function",
        Code={"ZipFile": "def main(e, c): pass"},
        Handler="index.main",
        Runtime="python3.9",
        Role={"Fn::GetAtt": ["Role", "Arn"]},
    )
    template["Resources"]["Role"] = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": LAMBDA_TRUST}}

    with pytest.raises(DeploymentFailed, match="target=host"):
        cloud.deploy(tmp_path, template)


def test_a_role_that_lambda_may_not_assume_fails_the_stack(cloud, tmp_path) -> None:
    template = resource(
        "AWS::Lambda::Function",
        Code={"ZipFile": "def main(e, c): pass"},
        Handler="index.main",
        Runtime=cloud.runtime,
        Role=cloud.outputs["StatesRole"],
    )

    with pytest.raises(DeploymentFailed, match="cannot be assumed by lambda"):
        cloud.deploy(tmp_path, template)


def test_a_definition_file_is_deployed_with_its_substitutions(cloud, tmp_path) -> None:
    definition = tmp_path / "machine.asl.json"
    definition.write_text(
        json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": "${Word}", "End": True}}})
    )
    location = {"Bucket": {"Fn::Sub": "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"}, "Key": "{asl}"}
    template = resource(
        "AWS::StepFunctions::StateMachine",
        DefinitionS3Location=location,
        DefinitionSubstitutions={"Word": {"Fn::GetAtt": ["Queue", "QueueName"]}},
        RoleArn=cloud.outputs["StatesRole"],
    )
    template["Resources"]["Queue"] = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"q{uuid.uuid4().hex}"}}

    machine = cloud.deploy(tmp_path / "a", template, assets={"asl": definition})["R"]

    described = cloud.client("stepfunctions").describe_state_machine(stateMachineArn=machine)
    name = template["Resources"]["Queue"]["Properties"]["QueueName"]
    assert json.loads(described["definition"])["States"]["A"]["Result"] == name


def test_a_table_keeps_recovery_expiry_and_protection(cloud, tmp_path) -> None:
    replica = {
        "Region": cloud.region,
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "DeletionProtectionEnabled": True,
    }
    template = resource(
        "AWS::DynamoDB::GlobalTable",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        TimeToLiveSpecification={"AttributeName": "expires", "Enabled": True},
        Replicas=[replica],
    )
    table = cloud.deploy(tmp_path, template)["R"]
    catalogue = cloud.client("dynamodb")

    backups = catalogue.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    expiry = catalogue.describe_time_to_live(TableName=table)["TimeToLiveDescription"]

    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
    assert catalogue.describe_table(TableName=table)["Table"]["DeletionProtectionEnabled"] is True


def test_a_replica_of_a_table_in_another_region_is_refused(cloud, tmp_path) -> None:
    template = resource(
        "AWS::DynamoDB::GlobalTable",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        Replicas=[{"Region": cloud.region}, {"Region": "eu-west-1"}],
    )

    with pytest.raises(DeploymentFailed, match="nobody replicates"):
        cloud.deploy(tmp_path, template)


def test_an_unchanged_stack_stays_as_it_is_and_a_changed_one_is_updated(cloud, tmp_path) -> None:
    name = f"s{uuid.uuid4().hex[:8]}"
    template = resource("AWS::SQS::Queue", DelaySeconds=1)

    first = cloud.deploy_result(tmp_path / "1", template, name)
    again = cloud.deploy_result(tmp_path / "2", template, name)
    template["Resources"]["R"]["Properties"]["DelaySeconds"] = 2
    changed = cloud.deploy_result(tmp_path / "3", template, name)

    assert (first.changed, again.changed, changed.changed) == (True, False, True)
    assert first.outputs == again.outputs == changed.outputs
    attributes = cloud.client("sqs").get_queue_attributes(QueueUrl=changed.outputs["R"], AttributeNames=["All"])
    assert attributes["Attributes"]["DelaySeconds"] == "2"


def test_a_stack_that_failed_can_be_deployed_again(cloud, tmp_path) -> None:
    name = f"s{uuid.uuid4().hex[:8]}"
    with pytest.raises(DeploymentFailed):
        cloud.deploy(tmp_path / "1", resource("AWS::SQS::Queue", Nonsense=1), name)

    assert cloud.deploy(tmp_path / "2", resource("AWS::SQS::Queue"), name)["R"]


def test_a_template_over_the_inline_limit_is_deployed(cloud, tmp_path) -> None:
    template = resource("AWS::SQS::Queue")
    template["Description"] = "x"
    template["Metadata"] = {"long": "y" * 60_000}

    assert cloud.deploy(tmp_path, template)["R"]


def test_stacks_are_deployed_in_the_order_of_their_dependencies(cloud, tmp_path) -> None:
    suffix = uuid.uuid4().hex[:8]
    first = resource("AWS::SQS::Queue")
    first["Outputs"]["R"]["Export"] = {"Name": f"export-{suffix}"}
    second = resource("AWS::SSM::Parameter", Type="String", Value={"Fn::ImportValue": f"export-{suffix}"})

    deployed = cloud.deploy_stacks(
        tmp_path, {f"a{suffix}": second, f"b{suffix}": first}, {f"a{suffix}": [f"b{suffix}"]}
    )

    assert list(deployed) == [f"b{suffix}", f"a{suffix}"]


def test_the_security_of_a_network_is_deployed(cloud, tmp_path) -> None:
    template = {
        "Resources": {
            "Net": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.1.0.0/16", "EnableDnsSupport": True}},
            "Subnet": {
                "Type": "AWS::EC2::Subnet",
                "Properties": {
                    "VpcId": {"Ref": "Net"},
                    "CidrBlock": "10.1.1.0/24",
                    "AvailabilityZone": "eu-central-1a",
                },
            },
            "Table": {"Type": "AWS::EC2::RouteTable", "Properties": {"VpcId": {"Ref": "Net"}}},
            "Link": {
                "Type": "AWS::EC2::SubnetRouteTableAssociation",
                "Properties": {"RouteTableId": {"Ref": "Table"}, "SubnetId": {"Ref": "Subnet"}},
            },
            "Group": {
                "Type": "AWS::EC2::SecurityGroup",
                "Properties": {"GroupDescription": "functions", "VpcId": {"Ref": "Net"}},
            },
            "ToS3": {
                "Type": "AWS::EC2::VPCEndpoint",
                "Properties": {
                    "ServiceName": {"Fn::Sub": "com.amazonaws.${AWS::Region}.s3"},
                    "VpcId": {"Ref": "Net"},
                    "RouteTableIds": [{"Ref": "Table"}],
                    "VpcEndpointType": "Gateway",
                },
            },
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": LAMBDA_TRUST}},
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Code": {"ZipFile": "def main(e, c): return 1"},
                    "Handler": "index.main",
                    "Runtime": cloud.runtime,
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "VpcConfig": {
                        "SubnetIds": [{"Ref": "Subnet"}],
                        "SecurityGroupIds": [{"Fn::GetAtt": ["Group", "GroupId"]}],
                    },
                },
            },
        },
        "Outputs": {"Function": {"Value": {"Ref": "Function"}}, "Subnet": {"Value": {"Ref": "Subnet"}}},
    }

    outputs = cloud.deploy(tmp_path, template)

    config = cloud.client("lambda").get_function_configuration(FunctionName=outputs["Function"])["VpcConfig"]
    assert config["SubnetIds"] == [outputs["Subnet"]]
    assert cloud.invoke(outputs["Function"], {}) == 1
