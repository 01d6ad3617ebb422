"""How our sessions are named to the server."""

from __future__ import annotations

import pytest

from holdfast.model.sessions import LONGEST, TAIL, belongs_to, session_name

POINT = "shop-20260131t020000z-1a2b3c"


def test_a_session_names_its_step_and_its_whole_point() -> None:
    assert session_name("dump", POINT) == f"holdfast dump {POINT}"


@pytest.mark.parametrize("length", range(1, 33))
@pytest.mark.parametrize("step", ["hold", "schema"])
def test_every_name_fits_and_is_found_by_its_point(step: str, length: int) -> None:
    point = f"{'d' * length}{POINT[-TAIL - 1 :]}"

    name = session_name(step, point)

    assert len(name) <= LONGEST
    assert name.startswith(f"holdfast {step} ")
    assert belongs_to(name, point)


def test_sessions_of_others_and_of_other_points_are_not_taken_for_its_own() -> None:
    assert not belongs_to(f"psql {POINT}", POINT)
    assert not belongs_to(session_name("dump", POINT), "shop-20260131t020000z-1a2b3d")
