"""
EventBridge schedules: every property kept, expressions checked, time zones obeyed.

ministack drops time zone, start and end, takes any expression, and evaluates cron in UTC. Whether
schedules fire by themselves is the server's option: a backup that starts by the clock in the middle of a
test is seldom wanted, and `fire` starts one on command either way.

Differences from AWS that remain: a schedule is looked at every 10 s; a target that refuses is not tried
again and not sent to the dead-letter queue; the flexible window is not used.
"""

from __future__ import annotations

import datetime
import logging
import re
import threading
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from holdfast_local.cloud import fire, hooks, resources

LOG = logging.getLogger(__name__)

FIELDS = (
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "FlexibleTimeWindow",
    "Target",
    "GroupName",
    "State",
    "Description",
    "StartDate",
    "EndDate",
    "KmsKeyArn",
)
RATE = re.compile(r"rate\([1-9]\d* (minute|minutes|hour|hours|day|days)\)")
AT = re.compile(r"at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)")
CRON_RANGES = {0: range(60), 1: range(24), 3: range(1, 13), 5: range(1970, 2200)}


def install(endpoint: str, *, fires: bool) -> None:
    """Keep schedules as stacks declare them; let them fire by the clock when *fires*."""
    service = hooks.module("ministack.services.scheduler")
    handlers = resources.handlers_of("AWS::Scheduler::Schedule")
    hooks.check(handlers["create"], resources.CREATE, where="AWS::Scheduler::Schedule create")
    hooks.check(handlers["update"], resources.UPDATE, where="AWS::Scheduler::Schedule update")
    handlers["create"], handlers["update"] = create, update
    clock = Clock(service, endpoint)
    hooks.replace(service, "_tick_schedules", clock.tick if fires else _nothing, expects=())


def _nothing() -> None:
    """Let no schedule fire by itself."""


def create(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
    """Create the schedule of a stack."""
    service = hooks.module("ministack.services.scheduler")
    provisioners = hooks.module("ministack.services.cloudformation.provisioners")
    name = props.get("Name") or provisioners._physical_name(stack_name, logical_id, max_len=64)
    service._ensure_default_group()
    resources.accepted(service._create_schedule(name, body_of(props)), what=f"AWS::Scheduler::Schedule {name}")
    return name, {"Arn": service._schedule_arn(props.get("GroupName", "default"), name)}


def update(physical_id: str, old_props: dict[str, Any], new_props: dict[str, Any], stack_name: str) -> Any:  # noqa: ARG001
    """Bring the schedule of a stack up to date; with another group it is a new one."""
    service = hooks.module("ministack.services.scheduler")
    group, former = new_props.get("GroupName", "default"), old_props.get("GroupName", "default")
    if group != former:
        service._delete_schedule(physical_id, {"groupName": former})
        act = service._create_schedule
    else:
        act = service._update_schedule
    resources.accepted(act(physical_id, body_of(new_props)), what=f"AWS::Scheduler::Schedule {physical_id}")
    return physical_id, {"Arn": service._schedule_arn(group, physical_id)}


def body_of(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the API's body for a schedule's properties, once its expression and time zone make sense."""
    check_expression(properties.get("ScheduleExpression", ""), properties.get("ScheduleExpressionTimezone", "UTC"))
    given = {name: properties[name] for name in FIELDS if name in properties}
    return {"GroupName": "default", "State": "ENABLED", **given}


def check_expression(expression: str, zone: str) -> None:
    """Raise ValueError unless AWS would take *expression* in the time zone *zone*."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{zone} is not a time zone") from error
    if not (RATE.fullmatch(expression) or AT.fullmatch(expression) or _cron_fields(expression)):
        raise ValueError(f"{expression} is neither at(…), rate(…) nor a valid cron(…)")


def next_time(expression: str, zone: str, after: datetime.datetime) -> datetime.datetime | None:
    """Return when a cron *expression* is due next after the moment *after*; None for other kinds."""
    fields = _cron_fields(expression)
    if fields is None:
        return None
    bridge = hooks.module("ministack.services.eventbridge")
    due: datetime.datetime | None = bridge._cron_next_fire(fields, after.astimezone(ZoneInfo(zone)))
    return due


def _cron_fields(expression: str) -> Any:
    fields = hooks.module("ministack.services.eventbridge")._parse_cron_fields(expression)
    if fields is None:
        return None
    for position, allowed in CRON_RANGES.items():
        values = fields[position]
        if values is not None and (not values or not set(values) <= set(allowed)):
            return None
    return fields


class Clock:
    """Fires the schedules that are due."""

    def __init__(self, service: Any, endpoint: str) -> None:
        self._service, self._endpoint = service, endpoint
        self._last: dict[Any, datetime.datetime] = {}

    def tick(self) -> None:
        """Fire each enabled schedule whose time has come since the tick before."""
        now = datetime.datetime.now(tz=datetime.UTC)
        for key, schedule in list(self._service._schedules._data.items()):
            last = self._last.setdefault(key, now)
            if self._within(schedule, now) and self._due(schedule, last, now):
                self._last[key] = now
                threading.Thread(target=self._fire, args=(schedule, key[1]), daemon=True).start()

    def _within(self, schedule: dict[str, Any], now: datetime.datetime) -> bool:
        start, end = (self._service._to_epoch(schedule.get(name)) for name in ("StartDate", "EndDate"))
        moment = now.timestamp()
        return schedule["State"] == "ENABLED" and (start or moment) <= moment <= (end or moment)

    def _due(self, schedule: dict[str, Any], last: datetime.datetime, now: datetime.datetime) -> bool:
        expression, zone = schedule["ScheduleExpression"], schedule.get("ScheduleExpressionTimezone") or "UTC"
        once = self._service._at_time_epoch(expression)
        if once is not None:
            return bool(last.timestamp() < once <= now.timestamp())
        every = hooks.module("ministack.services.eventbridge")._parse_rate_seconds(expression)
        if every is not None:
            return bool((now - last).total_seconds() >= every)
        due = next_time(expression, zone, last)
        return due is not None and due <= now

    def _fire(self, schedule: dict[str, Any], region: str) -> None:
        try:
            fire.fire(schedule["Name"], group=schedule["GroupName"], endpoint=self._endpoint, region=region)
        except Exception:
            LOG.exception("Schedule %s could not be fired", schedule["Name"])
