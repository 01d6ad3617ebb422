"""
The local cloud: AWS as far as Holdfast uses it, in processes of this machine.

ministack answers the service APIs and carries out the CloudFormation template, the interpreter of moto
runs the state machines, and each function runs in processes of its own through the runtime client that
AWS itself uses. No Docker, no account, no root.

What is done here is only what those packages lack for our templates. Every place where we reach into
them is named in `hooks`, which refuses to start on versions that it was not written for.

    server        the process that answers; `python -m holdfast_local.cloud.server`
    lifecycle     up, down, status: that process as a background service
    deploy        a synthesized cloud assembly into it, as `cdk deploy` does
    fire          a schedule now
"""
