"""The parts of the local cloud that need no server."""

from __future__ import annotations

import datetime
import json
import os
import stat
import subprocess
import sys
import time
from zoneinfo import ZoneInfo

import pytest

from holdfast_local.cloud import (
    alarms,
    cloud_assembly,
    executions,
    fire,
    maps,
    metrics,
    processes,
    schedules,
    sdk_names,
)
from holdfast_local.cloud.errors import DeploymentFailed
from holdfast_local.cloud.lambda_environment import Place
from holdfast_local.cloud.packages import Packages
from holdfast_local.cloud.undertaker import Undertaker
from holdfast_local.cloud.zipped import zip_directory

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("expression", "after", "due"),
    [
        pytest.param(
            "cron(0 2 * * ? *)",
            datetime.datetime(2026, 7, 1, 1, 0, tzinfo=datetime.UTC),
            datetime.datetime(2026, 7, 2, 2, 0, tzinfo=BERLIN),
            id="two o'clock in summer is midnight UTC",
        ),
        pytest.param(
            "cron(0 2 * * ? *)",
            datetime.datetime(2026, 1, 1, 0, 30, tzinfo=datetime.UTC),
            datetime.datetime(2026, 1, 1, 2, 0, tzinfo=BERLIN),
            id="two o'clock in winter is one o'clock UTC",
        ),
        pytest.param(
            "cron(0 3 ? * SUN *)",
            datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC),
            datetime.datetime(2026, 11, 29, 3, 0, tzinfo=BERLIN),
            id="the next Sunday",
        ),
        pytest.param(
            "cron(0 4 1 * ? *)",
            datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC),
            datetime.datetime(2026, 12, 1, 4, 0, tzinfo=BERLIN),
            id="the first of the month",
        ),
    ],
)
def test_a_schedule_is_due_by_the_clock_of_its_zone(expression, after, due) -> None:
    assert schedules.next_time(expression, "Europe/Berlin", after) == due


def test_rates_have_no_time_of_day() -> None:
    assert schedules.next_time("rate(1 hour)", "UTC", datetime.datetime.now(datetime.UTC)) is None


def test_context_attributes_are_filled_in() -> None:
    moment = datetime.datetime(2026, 11, 23, 3, 0, tzinfo=BERLIN)

    text = fire.with_context(
        '{"t": "<aws.scheduler.scheduled-time>", "a": "<aws.scheduler.schedule-arn>"}', arn="x", now=moment
    )

    assert json.loads(text) == {"t": "2026-11-23T02:00:00Z", "a": "x"}


@pytest.mark.parametrize(
    ("failed", "count", "percentage", "expected"),
    [
        pytest.param(0, 0, 0, False, id="none failed"),
        pytest.param(1, 0, 0, True, id="none is tolerated"),
        pytest.param(2, 2, 0, False, id="exactly the count"),
        pytest.param(3, 2, 0, True, id="one over the count"),
        pytest.param(5, 0, 50, False, id="exactly the percentage"),
        pytest.param(6, 0, 50, True, id="over the percentage"),
        pytest.param(3, 2, 50, True, id="over one of two thresholds"),
    ],
)
def test_a_map_fails_over_what_it_tolerates(failed, count, percentage, expected) -> None:
    assert maps.exceeded(failed, items=10, count=count, percentage=percentage) is expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("no json", [], id="text"),
        pytest.param("[1]", [], id="a list"),
        pytest.param('{"message": "\\"_aws\\" is mentioned"}', [], id="a line that mentions the format"),
        pytest.param(
            '{"_aws": {"CloudWatchMetrics": [{"Namespace": "N", "Metrics": [{"Name": "M"}]}]}}', [], id="no value"
        ),
    ],
)
def test_lines_that_declare_no_metric_give_none(line, expected) -> None:
    assert list(metrics.read(line, now=0)) == expected


def test_every_dimension_set_and_value_of_a_line_is_read() -> None:
    declared = {
        "Namespace": "N",
        "Dimensions": [["Db"], ["Db", "Tier"]],
        "Metrics": [{"Name": "Age", "Unit": "Seconds"}],
    }
    line = json.dumps(
        {"_aws": {"Timestamp": 2000, "CloudWatchMetrics": [declared]}, "Db": "a", "Tier": "d", "Age": [1, 2]}
    )

    found = list(metrics.read(line, now=9))

    assert [(one.dimensions, one.values, one.timestamp) for one in found] == [
        ({"Db": "a"}, (1.0, 2.0), 2.0),
        ({"Db": "a", "Tier": "d"}, (1.0, 2.0), 2.0),
    ]


@pytest.mark.parametrize(
    ("missing", "needed", "values", "expected"),
    [
        pytest.param("missing", 1, [101], "ALARM", id="over the threshold"),
        pytest.param("missing", 1, [100], "OK", id="exactly on the threshold"),
        pytest.param("missing", 1, [None], "INSUFFICIENT_DATA", id="nothing is known"),
        pytest.param("ignore", 1, [None], None, id="as it was"),
        pytest.param("breaching", 1, [None], "ALARM", id="silence is a breach"),
        pytest.param("breaching", 2, [None, 5], "OK", id="one silent period of two"),
        pytest.param("notBreaching", 1, [None], "OK", id="silence is no breach"),
        pytest.param("notBreaching", 2, [101, None], "OK", id="one breach of two"),
        pytest.param("notBreaching", 1, [101, None], "ALARM", id="one breach is enough"),
        pytest.param("missing", 2, [101, 102, 1], "ALARM", id="two breaches of three"),
    ],
)
def test_an_alarm_is_judged_by_its_periods(missing, needed, values, expected) -> None:
    rule = alarms.Rule("GreaterThanThreshold", 100, needed, missing)

    assert rule.judge(values) == expected


@pytest.mark.parametrize(
    ("kind", "service", "name"),
    [
        ("NoSuchKey", "s3", "S3.NoSuchKeyException"),
        ("ClientError", "s3", "S3.S3Exception"),
        ("DBSnapshotNotFoundFault", "rds", "Rds.DbSnapshotNotFoundException"),
        ("ConditionalCheckFailedException", "dynamodb", "DynamoDb.ConditionalCheckFailedException"),
    ],
)
def test_errors_of_services_are_named_as_step_functions_names_them(kind, service, name) -> None:
    error = type(kind, (Exception,), {})()

    assert sdk_names.error_name(sdk_names.service_name(service), error) == name


def test_a_whole_number_of_tolerated_failures_is_written_with_a_point() -> None:
    definition = '{"States": {"M": {"ToleratedFailurePercentage": 50, "Label": "ToleratedFailurePercentage: 5"}}}'

    assert json.loads(executions.as_parsed(definition))["States"]["M"]["Label"] == "ToleratedFailurePercentage: 5"
    assert '"ToleratedFailurePercentage": 50.0' in executions.as_parsed(definition)


def test_a_package_keeps_modes_and_links_and_is_unpacked_once(tmp_path) -> None:
    source = tmp_path / "source"
    (source / "bin").mkdir(parents=True)
    (source / "lib" / "real").mkdir(parents=True)
    (source / "lib" / "real" / "x.so").write_text("x")
    (source / "lib" / "current").symlink_to("real")
    program = source / "bin" / "psql"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (source / "bin" / "client").symlink_to("psql")
    packages = Packages(tmp_path / "packages")

    zipped = zip_directory(source)
    unpacked = packages.unpack(zipped)

    assert stat.S_IMODE((unpacked / "bin" / "psql").stat().st_mode) == 0o755
    assert (unpacked / "bin" / "client").readlink().name == "psql"
    assert (unpacked / "lib" / "current" / "x.so").read_text() == "x"
    assert packages.unpack(bytes(bytearray(zipped))) == unpacked
    assert zip_directory(source) == zipped


def test_a_later_layer_takes_the_place_of_an_earlier_one(tmp_path) -> None:
    for name in ("first", "second"):
        (tmp_path / name / "bin").mkdir(parents=True)
    layers = (tmp_path / "first", tmp_path / "second")
    place = Place(tmp_path / "task", layers, tmp_path / "runtime", tmp_path / "tmp", "stream", "127.0.0.1:1")

    assert place.folders("bin") == [str(tmp_path / "second" / "bin"), str(tmp_path / "first" / "bin")]


def test_packages_that_nothing_uses_any_more_are_removed(tmp_path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "f").write_text("f")
    unpacked = Packages(tmp_path / "packages").unpack(zip_directory(source))
    long_ago = time.time() - 10 * 86400
    os.utime(unpacked, (long_ago, long_ago))

    Packages(tmp_path / "packages")

    assert not unpacked.exists()


def test_the_tree_of_a_process_holds_its_children_and_theirs() -> None:
    program = "import subprocess, sys; p = subprocess.Popen(['sleep', '30']); print(p.pid, flush=True); p.wait()"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        grandchild = int(parent.stdout.readline())

        found = processes.tree(parent.pid)
        memory = processes.resident_bytes(found)
        processes.signal_tree(parent.pid, __import__("signal").SIGKILL)

    assert found == [parent.pid, grandchild]
    assert memory > 5_000_000


def test_a_process_that_is_no_more_has_no_start() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()

    assert processes.started_at(process.pid) is None
    assert processes.started_at(os.getpid()) == processes.started_at(os.getpid())


def test_the_undertaker_ends_what_it_watches_and_nothing_else() -> None:
    undertaker = Undertaker()
    with (
        subprocess.Popen(["sleep", "60"], start_new_session=True) as watched,
        subprocess.Popen(["sleep", "60"], start_new_session=True) as forgotten,
    ):
        undertaker.watch(watched.pid)
        undertaker.watch(forgotten.pid)
        undertaker.forget(forgotten.pid)

        undertaker.close()

        assert watched.wait(5) < 0
        assert forgotten.poll() is None
        forgotten.kill()


def test_a_directory_without_an_assembly_says_so(tmp_path) -> None:
    with pytest.raises(DeploymentFailed, match="holds no cloud assembly"):
        cloud_assembly.read_stacks(tmp_path)


def test_stacks_that_need_each_other_are_refused(tmp_path) -> None:
    def stack(needed):
        return {
            "type": "aws:cloudformation:stack",
            "properties": {"templateFile": "t.json"},
            "dependencies": [needed],
        }

    (tmp_path / "manifest.json").write_text(json.dumps({"artifacts": {"a": stack("b"), "b": stack("a")}}))

    with pytest.raises(DeploymentFailed, match="in a circle"):
        cloud_assembly.read_stacks(tmp_path)
