"""How far the second region is behind: by what each point pins, in that very version."""

from __future__ import annotations

from datetime import timedelta

from fakes import MemoryArchive
from holdfast.contracts.replicating import Lag
from holdfast.model.keys import VERIFICATION
from holdfast.usecases.replication.lag import measure_lag
from snapshot.rig import DATABASE, Rig, now
from verify.looking import KEYS, first_chunk


def replicated(rig: Rig) -> MemoryArchive:
    """Return a replica that has everything."""
    replica = MemoryArchive()
    replica.versions = {key: list(versions) for key, versions in rig.archive.versions.items()}
    return replica


def lag(rig: Rig, replica: MemoryArchive, *, enough: bool = True) -> Lag:
    return measure_lag(
        DATABASE,
        points=rig.points,
        archive=rig.archive,
        replica=replica,
        signer=rig.signer,
        now=now() + timedelta(minutes=20),
        enough_time=lambda: enough,
    )


def test_a_point_that_is_all_there_is_noted_and_not_looked_at_again(small: Rig) -> None:
    point = small.backup()
    small.verify(point.id)

    found = lag(small, replicated(small))

    assert found == Lag(database=DATABASE)
    assert small.points.get(point.id).replicated_at is not None
    assert lag(small, MemoryArchive()) == Lag(database=DATABASE)


def test_the_lag_is_the_age_of_the_oldest_point_of_which_something_is_missing(small: Rig) -> None:
    point = small.backup()
    small.verify(point.id)
    replica = replicated(small)
    del replica.versions[KEYS.chunk(first_chunk(small, point.id).sha256)]
    del replica.versions[KEYS.of_point(point.id, VERIFICATION)]

    found = lag(small, replica)

    assert (found.waiting, found.point, found.objects) == (1, point.id, 2)
    assert 1100 < found.seconds < 1400
    assert small.points.get(point.id).replicated_at is None


def test_what_there_is_no_time_for_counts_as_waiting(small: Rig) -> None:
    small.backup()

    assert lag(small, replicated(small), enough=False).waiting == 1
