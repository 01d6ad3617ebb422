"""
How many connections a run may take from a server, so that an application never goes without.

Three limits count: the server's, that of the role and that of the database. Each is judged as it would be with
nobody there (what can never fit is refused for good) and as it is now (what does not fit now may fit later).
"""

from __future__ import annotations

from dataclasses import dataclass

BESIDE = 3
"""Connections beside the workers': the holder, its successor and the successor's probe meet at a hand-over.

The planner, the seal, pg_dump and pg_dumpall come before the workers, after them, or in the place of one.
"""
HEADROOM_SHARE = 10
HEADROOM_LEAST = 3
"""A tenth of what a limit allows, and at least three connections, stay free for the application."""
CONNECTIONS_PER_WORKER = 24
FEWEST, MOST = 2, 16
"""Providers allow connections in proportion to memory, so this follows the machine's size: the stock limit of 100
and Neon's smallest compute (97 are left of its 104) give 4 workers."""


@dataclass(frozen=True, slots=True)
class Limit:
    """
    At most *most* connections at once, of which *in_use* are taken; *whose* completes "… allows".

    *shared* limits are the application's too, and leave it headroom; a role of our own has none to share.
    """

    whose: str
    most: int
    in_use: int
    remedy: str
    shared: bool = True

    @property
    def headroom(self) -> int:
        """Return how many connections stay free for others."""
        return max(HEADROOM_LEAST, -(-self.most // HEADROOM_SHARE)) if self.shared else 0


@dataclass(frozen=True, slots=True)
class Connections:
    """What a server has room for: its own limit first, then those of role and database where they have one."""

    limits: tuple[Limit, ...]

    def room(self, *, beside: int, now: bool = True, polite: bool = True) -> int:
        """Return how many workers fit next to *beside* others: *now* or ever, leaving headroom if *polite*."""
        return min(each.most - now * each.in_use - polite * each.headroom for each in self.limits) - beside

    def tightest(self, *, now: bool) -> Limit:
        """Return the limit that leaves the least room."""
        return min(self.limits, key=lambda each: each.most - now * each.in_use - each.headroom)


@dataclass(frozen=True, slots=True)
class Share:
    """
    How many workers may run, and why, in a sentence; *warning* says what a configured number costs others.

    With no workers, *sentence* and *remedy* say why, and *ever* whether they may fit another time.
    """

    workers: int
    sentence: str
    remedy: str = ""
    ever: bool = True
    warning: str = ""


def share(found: Connections, *, wanted: int | None = None, beside: int = BESIDE) -> Share:
    """
    Return how many workers may run beside *beside* other connections of ours.

    Without *wanted* as many as suit the server's size and leave the application its headroom. *wanted* workers run
    even without headroom, with a warning, but never fewer: whoever chose a number reckons with it.
    """
    polite = wanted is None
    least = wanted or 1
    for now in (False, True):
        room = found.room(beside=beside, now=now, polite=polite)
        if room < least:
            return _refused(found.tightest(now=now), least=least, room=room, beside=beside, now=now, polite=polite)
    if wanted is None:
        workers = min(found.room(beside=beside), most_for(found))
        return Share(workers, _told(found, workers, beside=beside))
    return Share(wanted, _told(found, wanted, beside=beside), warning=_warning(found, wanted, beside=beside))


def most_for(found: Connections) -> int:
    """Return how many workers suit a server of this size."""
    return min(MOST, max(FEWEST, found.limits[0].most // CONNECTIONS_PER_WORKER))


def _told(found: Connections, workers: int, *, beside: int) -> str:
    tight = found.tightest(now=True)
    return (
        f"{workers} {'worker' if workers == 1 else 'workers'} and {beside} connections beside: "
        f"{tight.whose} allows {tight.most}, {tight.in_use} are in use and {tight.headroom} stay free for others."
    )


def _refused(tight: Limit, *, least: int, room: int, beside: int, now: bool, polite: bool) -> Share:
    in_use = f", of which {tight.in_use} are in use" if now else ""
    left = f", and {tight.headroom} stay free for others" if polite and tight.headroom else ""
    needed = f"{least} {'worker' if least == 1 else 'workers'} and {beside} connections beside"
    possible = f" or set concurrency to at most {room}" if room > 0 else ""
    remedy = f"{tight.remedy}{possible}"
    return Share(
        0,
        f"{tight.whose} allows {tight.most} connections{in_use}{left}: there is no room for {needed}.",
        remedy=remedy if remedy.endswith(";") else f"{remedy}.",
        ever=now,
    )


def _warning(found: Connections, wanted: int, *, beside: int) -> str:
    polite = found.room(beside=beside)
    if wanted <= polite:
        return ""
    tight = found.tightest(now=True)
    free = tight.most - tight.in_use - wanted - beside
    whose = _lower(tight.whose)
    return f"concurrency = {wanted} leaves others {free} of the {tight.most} connections that {whose} allows."


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]
