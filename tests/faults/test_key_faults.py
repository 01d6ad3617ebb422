"""Keys and secrets that are throttled, denied or disabled: a seal says so and is not half a seal, and repeats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from faults.injecting import Injector, Kind
from holdfast.adapters.aws import Clients, KmsSigner, S3Archive, SecretsManager
from holdfast.errors import BadConfiguration, HoldfastError, StorageThrottled
from holdfast.model.keys import MANIFEST, SIGNATURE, ArchiveKeys
from holdfast.model.points import PointState
from snapshot.rig import DATABASE, Rig

SIGNING = (
    Kind("throttled", StorageThrottled, code="ThrottlingException", status=400),
    Kind("broken", StorageThrottled, code="KMSInternalException", status=500),
    Kind("not at hand", StorageThrottled, code="KeyUnavailableException", status=500),
    Kind("no answer", StorageThrottled),
    Kind("answer lost", StorageThrottled, lost=True),
    Kind("denied", BadConfiguration, code="AccessDeniedException", status=400),
    Kind("disabled", BadConfiguration, code="DisabledException", status=400),
    Kind("about to be deleted", BadConfiguration, code="KMSInvalidStateException", status=400),
)


@dataclass
class Named(Injector):
    """Fail every call of one name."""

    call: str = ""

    def _due(self, model: Any) -> bool:
        return bool(model.name == self.call)


def test_a_seal_whose_key_cannot_be_used_says_so_and_the_repetition_seals(small: Rig, clients: Clients) -> None:
    arn = clients.kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")["KeyMetadata"]["Arn"]
    archive: Any = S3Archive(clients.s3, "archive", sleep=lambda _: None)
    signer: Any = KmsSigner(clients.kms, arn)
    rig = Rig(small.parameters, archive=archive, signer=signer)
    injector = Named(SIGNING[0])
    injector.install(clients)
    point_id, keys = rig.start().point_id, ArchiveKeys(DATABASE)

    with rig.holding(point_id):
        rig.dump_all(rig.plan(point_id))
        for call in ("Sign", "GetPublicKey"):
            for kind in SIGNING:
                injector.kind, injector.call, injector.hit = kind, call, ""
                with pytest.raises(kind.expected) as failure:
                    rig.seal(point_id)
                assert (injector.hit, rig.points.get(point_id).state) == (call, PointState.CAPTURING)
                assert kind.code in failure.value.message
                assert arn not in str(failure.value)
        injector.call = ""
        rig.seal(point_id)

    point = rig.points.get(point_id)
    assert point.state is PointState.CAPTURED
    for name, version in ((MANIFEST, point.manifest_version), (SIGNATURE, point.signature_version)):
        listed = clients.s3.list_object_versions(Bucket="archive", Prefix=keys.of_point(point_id, name))["Versions"]
        assert [one["VersionId"] for one in listed] == [version], "written once, however often the seal was tried"
    assert rig.points.lock_holder(DATABASE) is None


SECRETS = (
    Kind("throttled", StorageThrottled, code="ThrottlingException", status=400),
    Kind("broken", StorageThrottled, code="InternalServiceError", status=500),
    Kind("no answer", StorageThrottled),
    Kind("denied", BadConfiguration, code="AccessDeniedException", status=400),
    Kind("its key disabled or denied", BadConfiguration, code="DecryptionFailure", status=400),
    Kind("about to be deleted", BadConfiguration, code="InvalidRequestException", status=400),
    Kind("absent", BadConfiguration, code="ResourceNotFoundException", status=400),
)


@pytest.mark.parametrize("kind", SECRETS, ids=str)
def test_a_secret_that_cannot_be_read_is_named_and_is_read_once_it_can_be(clients: Clients, kind: Kind) -> None:
    clients.secrets_manager.create_secret(Name="holdfast/shop", SecretString="postgresql://me:hidden@host/shop")
    injector = Named(kind, call="GetSecretValue")
    injector.install(clients)
    secrets = SecretsManager(clients.secrets_manager)

    with pytest.raises(HoldfastError) as failure:
        secrets.read("holdfast/shop")
    injector.call = ""

    assert type(failure.value) is kind.expected
    assert "holdfast/shop" in failure.value.message
    assert "hidden" not in str(failure.value)
    assert secrets.read("holdfast/shop").endswith("@host/shop")
