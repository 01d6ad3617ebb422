"""How many connections a backup takes, and that an application keeps its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.budget import BESIDE, MOST, Connections, Limit, share


def server(most: int, in_use: int = 0) -> Limit:
    return Limit("The server", most, in_use, "Raise max_connections")


def role(most: int, in_use: int = 0) -> Limit:
    return Limit("The role backup", most, in_use, "Run ALTER ROLE", shared=False)


def database(most: int, in_use: int = 0) -> Limit:
    return Limit("The database shop", most, in_use, "Run ALTER DATABASE")


limits = st.builds(
    lambda most, part, shared: Limit("The server", most, round(most * part), "", shared=shared),
    st.integers(0, 6_000),
    st.floats(0, 1),
    st.booleans(),
)
servers = st.builds(lambda first, more: Connections((first, *more)), limits, st.lists(limits, max_size=2))


@pytest.mark.parametrize(
    ("found", "workers"),
    [
        pytest.param([server(97)], 4, id="Neon's smallest compute, idle"),
        pytest.param([server(97, 80)], 4, id="the same with 80 in use"),
        pytest.param([server(97, 83)], 1, id="just room for one worker"),
        pytest.param([server(97, 84)], 0, id="one more in use"),
        pytest.param([server(97, 97)], 0, id="full"),
        pytest.param([server(25)], 2, id="a tiny server"),
        pytest.param([server(7)], 1, id="the smallest server that can be backed up"),
        pytest.param([server(6)], 0, id="one that cannot"),
        pytest.param([server(450)], 16, id="a large server"),
        pytest.param([server(450), role(6)], 3, id="a role of our own with a limit"),
        pytest.param([server(450), role(6, 2)], 1, id="the same with two of its sessions there"),
        pytest.param([server(450), role(3)], 0, id="a role with too low a limit"),
        pytest.param([server(450), database(20, 12)], 2, id="a database with a limit"),
    ],
)
def test_the_number_follows_from_what_the_server_has_left(found: list[Limit], workers: int) -> None:
    assert share(Connections(tuple(found))).workers == workers


@given(servers)
def test_others_always_keep_their_headroom(found: Connections) -> None:
    workers = share(found).workers

    if workers:
        assert all(each.most - each.in_use - workers - BESIDE >= each.headroom for each in found.limits)


@given(servers)
def test_without_a_worker_it_is_said_whose_limit_and_whether_waiting_helps(found: Connections) -> None:
    answer = share(found)

    idle = Connections(tuple(Limit(e.whose, e.most, 0, e.remedy, e.shared) for e in found.limits))
    assert 0 <= answer.workers <= MOST
    if not answer.workers:
        assert "no room for 1 worker" in answer.sentence
        assert answer.ever == bool(share(idle).workers)


@given(servers, st.integers(1, 100))
def test_a_number_that_was_chosen_is_taken_or_refused_but_never_changed(found: Connections, wanted: int) -> None:
    answer = share(found, wanted=wanted)

    free = min(each.most - each.in_use for each in found.limits) - BESIDE
    assert answer.workers == (wanted if wanted <= free else 0)


def test_a_chosen_number_that_leaves_no_headroom_is_told() -> None:
    assert "leaves others 2 of the 97 connections" in share(Connections((server(97, 80),)), wanted=12).warning
    assert not share(Connections((server(97),)), wanted=12).warning


def test_a_chosen_number_that_never_fits_names_the_largest_that_does() -> None:
    answer = share(Connections((server(20),)), wanted=30)

    assert (answer.workers, answer.ever) == (0, False)
    assert "concurrency to at most 17" in answer.remedy
