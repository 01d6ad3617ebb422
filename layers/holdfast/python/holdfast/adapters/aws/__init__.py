"""The ports over AWS; vendor codes are translated to our errors here and nowhere else."""

from holdfast.adapters.aws.archive import S3Archive
from holdfast.adapters.aws.catalogue import DynamoHolds, DynamoPoints, DynamoRestores, DynamoTurns
from holdfast.adapters.aws.clients import Clients
from holdfast.adapters.aws.executions import StepFunctionsExecutions
from holdfast.adapters.aws.keys import KmsDigestKeys, KmsSigner
from holdfast.adapters.aws.scratch import S3Scratch
from holdfast.adapters.aws.secrets import SecretsManager
from holdfast.adapters.aws.vault import SecretsManagerVault
from holdfast.adapters.aws.versions import S3Versions

__all__ = [
    "Clients",
    "DynamoHolds",
    "DynamoPoints",
    "DynamoRestores",
    "DynamoTurns",
    "KmsDigestKeys",
    "KmsSigner",
    "S3Archive",
    "S3Scratch",
    "S3Versions",
    "SecretsManager",
    "SecretsManagerVault",
    "StepFunctionsExecutions",
]
