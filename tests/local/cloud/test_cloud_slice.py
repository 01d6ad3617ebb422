"""The thinnest slice: a template is deployed, and its state machine runs its function."""

from __future__ import annotations


def test_a_state_machine_runs_a_deployed_function(cloud) -> None:
    definition = {
        "StartAt": "Work",
        "States": {
            "Work": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": {"FunctionName": cloud.outputs["WorkerArn"], "Payload": {"op": "echo", "a.$": "$.a"}},
                "OutputPath": "$.Payload.echo.a",
                "End": True,
            }
        },
    }

    ended = cloud.run(definition, {"a": 7})

    assert ended["status"] == "SUCCEEDED", ended
    assert ended["result"] == 7
