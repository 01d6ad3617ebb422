"""
Judge CloudWatch alarms as CloudWatch does: by dimensions, by period, and by what missing data means.

ministack mixes all series of a metric, looks at alarms only when a value comes, and never takes missing
data for a breach, so that "the newest backup is too old" would never be raised by a backup that does not
run. Here every alarm is judged when a value comes and every ten seconds.

Differences from AWS that remain: periods end at the present instead of at full minutes; no metric
mathematics, no anomaly detection.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from holdfast_local.cloud import hooks

TICK_SECONDS = 10.0
State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
COMPARISONS = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rule:
    """What an alarm compares, how many periods must breach, and what a period without data counts as."""

    comparison: str
    threshold: float
    needed: int
    missing: str

    def judge(self, values: Sequence[float | None]) -> State | None:
        """
        Return the state that follows from the *values* of the periods, the newest first.

        None stands for a period without data among the values, and for "as it was" as the answer.
        """
        present = [value for value in values if value is not None]
        breaching = sum(COMPARISONS[self.comparison](value, self.threshold) for value in present)
        if self.missing == "breaching":
            return "ALARM" if breaching + len(values) - len(present) >= self.needed else "OK"
        if not present and self.missing != "notBreaching":
            return None if self.missing == "ignore" else "INSUFFICIENT_DATA"
        available = len(values) if self.missing == "notBreaching" else len(present)
        return "ALARM" if breaching and breaching >= min(self.needed, available) else "OK"


def install() -> None:
    """Judge alarms so from now on."""
    service = hooks.module("ministack.services.cloudwatch")
    hooks.replace(service, "_evaluate_alarm", lambda alarm: evaluate(service, alarm), expects=("alarm",))
    threading.Thread(target=_watch, args=(service,), daemon=True, name="alarms").start()


def evaluate(service: Any, alarm: dict[str, Any]) -> None:
    """Bring *alarm* to the state that its metric calls for, and call its actions when that is a change."""
    rule = Rule(
        comparison=alarm.get("ComparisonOperator", ""),
        threshold=float(alarm.get("Threshold", 0)),
        needed=int(alarm.get("DatapointsToAlarm") or alarm.get("EvaluationPeriods", 1)),
        missing=alarm.get("TreatMissingData") or "missing",
    )
    if rule.comparison not in COMPARISONS:
        return
    values = _values(service, alarm, now=time.time())
    state = rule.judge(values)
    if state is None or state == alarm["StateValue"]:
        return
    before = alarm["StateValue"]
    reason = f"The newest periods are {values}; {rule.comparison} {rule.threshold} is needed of {rule.needed}."
    alarm.update(StateValue=state, StateReason=reason, StateUpdatedTimestamp=int(time.time()))
    service._record_history(alarm["AlarmName"], before, state, reason)
    service._dispatch_alarm_actions(alarm, before, state, reason)
    service._evaluate_parent_alarms(alarm)


def _values(service: Any, alarm: dict[str, Any], *, now: float) -> list[float | None]:
    dimensions = service._dims_key(service._dims_from_list(alarm.get("Dimensions") or []))
    points = service._metrics.get((alarm.get("Namespace"), alarm.get("MetricName"), dimensions)) or []
    period, statistic = alarm.get("Period", 60), alarm.get("ExtendedStatistic") or alarm.get("Statistic", "Average")
    values: list[float | None] = []
    for age in range(alarm.get("EvaluationPeriods", 1)):
        end = now - age * period
        within = [point for point in points if end - period < point["Timestamp"] <= end + (1 if age == 0 else 0)]
        values.append(service._stat_value(service._calc_stats(within), statistic, within) if within else None)
    return values


def _watch(service: Any) -> None:
    responses = hooks.module("ministack.core.responses")
    while True:
        time.sleep(TICK_SECONDS)
        for (account, region, name), alarm in list(service._alarms._data.items()):
            responses.set_request_account_id(account)
            responses.set_request_region(region)
            try:
                evaluate(service, alarm)
            except Exception:
                LOG.exception("Alarm %s could not be judged", name)
