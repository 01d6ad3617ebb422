"""What every catalogue of restores promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.errors import RestoreAlreadyRunning, UnexpectedState
from holdfast.ports.catalogue import RestoreRun, Restores

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
RUN = RestoreRun(
    id="run-1",
    database="shop",
    point_id="shop-20260131t020000z-abcdef",
    into="shop_restored",
    target="db.example.com:5432",
    state="running",
    started_at=NOON,
    execution="arn:run-1",
)


def finish(restores: Restores, restore_id: str = "run-1", state: str = "succeeded", sentence: str = "Proven.") -> None:
    restores.end(restore_id, state=state, sentence=sentence, ended_at=NOON + timedelta(minutes=5))


def test_a_restore_that_began_is_found_as_it_was_written(restores: Restores) -> None:
    restores.begin(RUN)

    assert restores.get("run-1") == RUN
    assert restores.get("run-2") is None


def test_a_begin_that_is_repeated_changes_nothing(restores: Restores) -> None:
    restores.begin(RUN)

    restores.begin(RUN)

    assert list(restores.newest_first("shop")) == [RUN]


def test_a_second_restore_into_the_same_target_learns_which_one_runs(restores: Restores) -> None:
    restores.begin(RUN)

    with pytest.raises(RestoreAlreadyRunning) as caught:
        restores.begin(replace(RUN, id="run-2", database="blog", execution="arn:run-2"))

    assert caught.value.ids == {"restore": "run-1", "execution": "arn:run-1"}
    assert restores.get("run-2") is None
    assert list(restores.newest_first("blog")) == []


def test_asking_whether_a_target_is_taken_takes_and_records_nothing(restores: Restores) -> None:
    other = replace(RUN, id="run-2", execution="arn:run-2")

    restores.refuse_taken(RUN)
    restores.begin(other)
    restores.refuse_taken(other)
    with pytest.raises(RestoreAlreadyRunning) as caught:
        restores.refuse_taken(RUN)

    assert caught.value.ids == {"restore": "run-2", "execution": "arn:run-2"}
    assert list(restores.newest_first("shop")) == [other]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(RUN, id="run-2", into="elsewhere"), id="another name"),
        pytest.param(replace(RUN, id="run-2", target="other.example.com:5432"), id="another server"),
    ],
)
def test_a_restore_into_another_target_may_run_beside(restores: Restores, other: RestoreRun) -> None:
    restores.begin(RUN)

    restores.begin(other)

    assert restores.get("run-2") == other


def test_an_ended_restore_frees_its_target(restores: Restores) -> None:
    restores.begin(RUN)

    finish(restores)

    ended = replace(RUN, state="succeeded", sentence="Proven.", ended_at=NOON + timedelta(minutes=5))
    assert restores.get("run-1") == ended
    restores.begin(replace(RUN, id="run-2"))


def test_the_first_end_counts_and_a_late_one_leaves_the_next_restore_s_lock(restores: Restores) -> None:
    restores.begin(RUN)
    finish(restores)
    restores.begin(replace(RUN, id="run-2"))

    finish(restores, state="failed", sentence="Too late.")

    assert restores.get("run-1").sentence == "Proven."  # type: ignore[union-attr]
    with pytest.raises(RestoreAlreadyRunning):
        restores.begin(replace(RUN, id="run-3"))


def test_ending_what_never_began_does_nothing(restores: Restores) -> None:
    finish(restores, "nobody")

    assert restores.get("nobody") is None


def test_an_id_is_not_used_again(restores: Restores) -> None:
    restores.begin(RUN)
    finish(restores)

    with pytest.raises(UnexpectedState, match="run-1"):
        restores.begin(RUN)


def test_restores_come_newest_first_whatever_their_ids(restores: Restores) -> None:
    for hours, name in ((0, "zebra"), (2, "ant"), (1, "bear")):
        restores.begin(replace(RUN, id=name, into=name, started_at=NOON + timedelta(hours=hours)))

    assert [run.id for run in restores.newest_first("shop")] == ["ant", "bear", "zebra"]
    assert [run.id for run in restores.newest_first("shop", limit=1)] == ["ant"]
