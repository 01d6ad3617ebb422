"""
The whole system on one machine: layers and template built, local cloud started, deployed, secrets in place.

Its state lies in one directory, `.holdfast/local` beside the configuration, so that any later process finds
it. Each database's connection URL comes from the environment variable that `url_env` names and goes into the
local cloud's Secrets Manager only: into no file.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote

from holdfast.configuration import Configuration, Database, Target, load
from holdfast.errors import BadConfiguration
from holdfast_local import synthesizing
from holdfast_local.cloud import lifecycle
from holdfast_local.cloud.clients import client
from holdfast_local.cloud.deploy import Deployed
from holdfast_local.cloud.errors import CloudNotRunning
from holdfast_local.cloud.lifecycle import Endpoint
from holdfast_local.interrupts import once
from holdfast_local.postgres import stop_detached

PLACES = (Path(".holdfast/local"), Path(".holdfast/demo/local"))
"""Where a system's state is looked for, below a directory and those above it."""
STATE = "system.json"
ASSEMBLY = "cdk.out"


@dataclass(frozen=True)
class LocalSystem:
    """
    A local system: its state's *directory*, its *configuration* and the embedded *servers* that end with it.

    `access_key` and `secret_key` are those of the local cloud's root.
    """

    directory: Path
    configuration: Path
    endpoint: str
    region: str
    account: str
    servers: tuple[Path, ...] = ()
    access_key: str = "test"
    secret_key: str = "test"  # noqa: S105  # the local cloud's root, no secret

    @property
    def log(self) -> Path:
        """Return the file that the local cloud writes its messages to."""
        return self.directory / lifecycle.LOG


@dataclass(frozen=True)
class _State:
    """What the local cloud's own state does not say."""

    configuration: str
    servers: tuple[str, ...] = ()


def up(
    configuration: Path,
    *,
    directory: Path | None = None,
    environment: Mapping[str, str],
    servers: tuple[Path, ...] = (),
    limits: Sequence[str] = (),
    report: Callable[[str], None] = lambda _: None,
) -> LocalSystem:
    """
    Bring the local system up to date with *configuration*; a second call applies what has changed.

    *environment* holds the databases' URLs. *servers* are directories of embedded servers that `down` is to
    stop. *limits* give functions less time than they have in AWS (`snapshot.hold=20`, in seconds), so that work is
    handed on after seconds as it is there after minutes. *report* gets one sentence per step. Raises
    `BadConfiguration` before anything is started.
    When it fails or is interrupted, a cloud that it has started itself is stopped again: `KeyboardInterrupt` is raised
    then, whatever the interrupt broke.
    """
    configuration = configuration.resolve()
    place = (directory or configuration.parent / PLACES[0]).resolve()
    settings = load(configuration).on_this_machine()
    secrets = dict(_secrets(settings, environment))
    place.mkdir(parents=True, exist_ok=True)
    region = settings.region
    with once() as uninterrupted, _undone_unless_complete(place, region):
        report("Building layers and template")
        with synthesizing.begun(configuration, place / ASSEMBLY, limits) as assembly:
            endpoint = _running(place, region) or lifecycle.start(place, region=region)
            _write_state(place, _State(str(configuration), tuple(map(str, servers))))
            assembly.result()
        report("Deploying")
        lifecycle.up(place / ASSEMBLY, place, region=region, report=lambda stack: report(_sentence(stack, region)))
        for each in filter(None, (region, settings.holdfast.second_region)):
            _store(endpoint.url, each, secrets)
        uninterrupted()
    return _described(place, endpoint)


@contextlib.contextmanager
def _undone_unless_complete(place: Path, region: str) -> Iterator[None]:
    """Stop the cloud of *place* when the block fails, unless it ran before: with nothing deployed it is of no use."""
    ran = _running(place, region) is not None
    try:
        yield
    except BaseException:  # Ctrl-C too
        if not ran:
            lifecycle.down(place)
        raise


def down(directory: Path) -> bool:
    """Stop the local system of *directory* with its functions and embedded servers; say whether anything ran."""
    directory = directory.resolve()
    ran = lifecycle.down(directory)
    for server in _read_state(directory).servers:
        ran = stop_detached(Path(server)) or ran
    return ran


def status(directory: Path) -> LocalSystem | None:
    """Return the system that keeps its state in *directory*, if it runs."""
    endpoint = lifecycle.status(directory.resolve())
    return _described(directory.resolve(), endpoint) if endpoint else None


def require(directory: Path) -> LocalSystem:
    """Return the system that keeps its state in *directory*; raises `CloudNotRunning`."""
    found = status(directory)
    if found is None:
        raise CloudNotRunning(f"No local system runs for {directory}.")
    return found


def find(start: Path) -> LocalSystem:
    """Return the running system of *start* or of the nearest directory above it; raises `CloudNotRunning`."""
    for directory in places(start):
        if found := status(directory):
            return found
    raise CloudNotRunning(
        f"No local system runs for {start} or a directory above it.",
        hint="Start it with `holdfast local up`, or say with --state where its state lies.",
    )


def places(start: Path) -> Iterator[Path]:
    """Yield the directories in which a system of *start* may keep its state, the nearest first."""
    start = start.resolve()
    for above in (start, *start.parents):
        yield from (above / place for place in PLACES)


def state_option(directory: Path, start: Path) -> str:
    """Return the option by which the command in *start* reaches the system of *directory*; "" where it needs none."""
    nearest = next((place for place in places(start) if status(place)), None)
    return "" if nearest == directory.resolve() else f" --state {quote(str(directory.resolve()))}"


def _secrets(settings: Configuration, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each secret's name and text; raises `BadConfiguration` that lists every variable that is missing."""
    faults = []
    for kind, found in (("databases", settings.databases), ("targets", settings.targets)):
        for name, each in found.items():
            if fault := _fault(each, environment):
                faults.append(f"{kind}.{name}: {fault}")
            else:
                yield each.secret, environment[each.url_env or ""]
    for name, database in settings.databases.items():
        if database.neon and (key := environment.get(database.neon.api_key_env or "")):
            yield database.neon.api_key, key
        elif database.neon:
            faults.append(f"databases.{name}.neon: {_no_key(database.neon.api_key_env)}")
    if faults:
        raise BadConfiguration("\n".join(faults), hint="The local system takes each connection URL from there.")


def _fault(each: Database | Target, environment: Mapping[str, str]) -> str:
    if not each.url_env:
        return 'url_env is missing; name an environment variable, for example url_env = "DATABASE_URL".'
    if not environment.get(each.url_env):
        return f"the environment variable {each.url_env} is not set; export {each.url_env}=postgresql://…"
    if each.secret.startswith("arn:"):
        return "secret is an ARN; the local system needs a secret's name."
    return ""


def _no_key(variable: str | None) -> str:
    if variable is None:
        return 'api_key_env is missing; name an environment variable, for example api_key_env = "NEON_API_KEY".'
    return f"the environment variable {variable} is not set; export {variable}=…"


def _running(place: Path, region: str) -> Endpoint | None:
    endpoint = lifecycle.status(place)
    if endpoint and endpoint.region != region:
        raise BadConfiguration(
            f"The local system runs in {endpoint.region}, the configuration says {region}.",
            hint="Stop it first with `holdfast local down`; what it holds is lost then.",
        )
    return endpoint


def _store(endpoint: str, region: str, secrets: Mapping[str, str]) -> None:
    """Keep the databases' secrets in a region: in AWS, whoever runs a database copies its secret to the second one."""
    manager = client("secretsmanager", endpoint, region)
    for name, text in secrets.items():
        try:
            manager.create_secret(Name=name, SecretString=text)
        except manager.exceptions.ResourceExistsException:
            manager.put_secret_value(SecretId=name, SecretString=text)


def _sentence(stack: Deployed, region: str) -> str:
    place = "" if stack.region == region else f" in {stack.region}"
    return f"{stack.stack}{place} {'deployed' if stack.changed else 'unchanged'} ({stack.seconds:.1f} s)"


def _described(place: Path, endpoint: Endpoint) -> LocalSystem:
    state = _read_state(place)
    return LocalSystem(
        directory=place,
        configuration=Path(state.configuration),
        endpoint=endpoint.url,
        region=endpoint.region,
        account=endpoint.account,
        servers=tuple(map(Path, state.servers)),
    )


def _write_state(place: Path, state: _State) -> None:
    (place / STATE).write_text(json.dumps(asdict(state), indent=1) + "\n", encoding="utf-8")


def _read_state(place: Path) -> _State:
    try:
        found = json.loads((place / STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _State("")
    return _State(found["configuration"], tuple(found["servers"]))
