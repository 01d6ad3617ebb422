"""
The Lambda Runtime API: what a runtime asks for the next event and gives its answer to.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. Each execution environment has a server
of its own on a free port of the loopback interface, since the runtime's address holds no path.
"""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

End = Literal["response", "error", "init", "exit", "memory", "storage", "timeout"]


@dataclass(frozen=True)
class Event:
    """One invocation on its way to the runtime; `deadline` in seconds since the epoch."""

    request_id: str
    body: bytes
    deadline: float
    arn: str

    def headers(self) -> dict[str, str]:
        """Return the headers that the runtime reads the context from."""
        return {
            "Lambda-Runtime-Aws-Request-Id": self.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(self.deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self.arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):x}-{uuid.uuid4().hex[:24]};Sampled=0",
            "Content-Type": "application/json",
            "Content-Length": str(len(self.body)),
        }


class RuntimeApi:
    """
    Hand events to one runtime and collect how each ended.

    Between invocations the environment is frozen, as on Lambda: *freeze* is called when the runtime asks
    for the next event and there is none, *thaw* when one has come.
    """

    def __init__(self, *, freeze: Callable[[], None], thaw: Callable[[], None]) -> None:
        self.ready = threading.Event()
        self.ends: queue.Queue[tuple[End, bytes]] = queue.Queue()
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._freeze, self._thaw = freeze, thaw
        self._lock = threading.Lock()
        self._served = False
        self._frozen = False
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.5,), daemon=True, name="runtime-api").start()

    @property
    def address(self) -> str:
        """The host and port for AWS_LAMBDA_RUNTIME_API."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def frozen(self) -> bool:
        """Whether the environment is stopped until the next event."""
        return self._frozen

    def deliver(self, event: Event) -> None:
        """Give *event* to the runtime, waking it up first."""
        with self._lock:
            self._served = True
            self._events.put(event)
            if self._frozen:
                self._frozen = False
                self._thaw()

    def next_event(self) -> Event | None:
        """Wait for the runtime's next event; None when the environment is closed."""
        with self._lock:
            self.ready.set()
            if self._served and self._events.empty():
                self._frozen = True
                self._freeze()
        return self._events.get()

    def close(self) -> None:
        """Let go of the runtime and the port."""
        self._events.put(None)
        threading.Thread(target=self._shut, daemon=True).start()

    def _shut(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, api: RuntimeApi) -> None:
        self.api = api
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # Without these two, Nagle's algorithm and delayed acknowledgement add 45 ms to each invocation.
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        event = self.server.api.next_event()
        if event is None:
            self.close_connection = True
            return
        self.send_response(200)
        for name, value in event.headers().items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(event.body)

    def do_POST(self) -> None:
        body = self._body()
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.flush()
        self.server.api.ends.put((_end_of(self.path), body))

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length")
        return self.rfile.read(int(length)) if length is not None else self._chunks()

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


def _end_of(path: str) -> End:
    if path.endswith("/init/error"):
        return "init"
    return "error" if path.endswith("/error") else "response"
