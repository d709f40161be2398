"""Receivers of alerts: a real HTTP server and a real SMTP server, on free ports of this machine."""

import base64
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Post:
    """A request of a webhook."""

    headers: dict[str, str]
    body: bytes


@dataclass
class Webhooks:
    """What an HTTP server got and what it answers: `statuses` first, then 200. It answers nothing while `answers` is cleared."""

    url: str = ""
    posts: list[Post] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    answers: threading.Event = field(default_factory=threading.Event)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def webhook_server(port: int = 0) -> Iterator[Webhooks]:
    """A server that takes every POST."""
    hooks = Webhooks()
    hooks.answers.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hooks.posts.append(Post({name.lower(): value for name, value in self.headers.items()}, body))
            hooks.answers.wait(60)
            try:
                self.send_response(hooks.statuses.pop(0) if hooks.statuses else 200)
                for name, value in hooks.headers.items():
                    self.send_header(name, value)
                self.end_headers()
            except OSError:
                pass  # the sender has gone meanwhile

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library calls it
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        hooks.url = f"http://127.0.0.1:{server.server_port}/services/T0/secret-token"
        thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
        thread.start()
        try:
            yield hooks
        finally:
            hooks.answers.set()
            server.shutdown()
            thread.join()


@dataclass
class Mailbox:
    """What an SMTP server got: the envelopes and the mails. `commands` are those of all connections, without the mails."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    receivers: list[list[str]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)


class _Session(socketserver.StreamRequestHandler):
    """One connection, as RFC 5321 has it, with STARTTLS and AUTH PLAIN."""

    mailbox: Mailbox
    context: ssl.SSLContext | None
    login: tuple[str, str] | None

    def setup(self) -> None:
        super().setup()
        self.plain = self.request
        self.to: list[str] = []
        self.is_secure, self.is_known = self.context is None, self.login is None

    def handle(self) -> None:
        answers = {
            "EHLO": self._greet,
            "STAR": self._encrypt,
            "AUTH": self._check,
            "MAIL": self._begin,
            "RCPT": self._add,
            "DATA": self._take,
        }
        self._say("220 here")
        while line := self.rfile.readline():
            command = line.decode("ascii").strip()
            verb = command[:4].upper()
            self.mailbox.commands.append(command if verb != "AUTH" else "AUTH")
            if verb == "QUIT":
                self._say("221 bye")
                return
            answers.get(verb, lambda _: self._say("250 ok"))(command)

    def finish(self) -> None:
        super().finish()
        if self.request is not self.plain:
            self.request.close()

    def _greet(self, _: str) -> None:
        *offers, last = ["here"] + ([] if self.is_secure else ["STARTTLS"]) + (["AUTH PLAIN"] if self.login else [])
        for offer in offers:
            self._say(f"250-{offer}")
        self._say(f"250 {last}")

    def _encrypt(self, _: str) -> None:
        assert self.context
        self._say("220 go")
        self.request = self.context.wrap_socket(self.request, server_side=True)
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", 0)
        self.is_secure = True

    def _check(self, command: str) -> None:
        _, user, password = base64.b64decode(command.split()[2]).decode().split("\0")
        self.is_known = (user, password) == self.login
        self._say("235 welcome" if self.is_known else "535 wrong password")

    def _begin(self, _: str) -> None:
        self.to = []
        self._say("250 ok" if self.is_known and self.is_secure else "530 first STARTTLS and AUTH")

    def _add(self, command: str) -> None:
        address = command[command.index("<") + 1 : command.index(">")]
        if address in self.mailbox.refuses:
            self._say("550 nobody of this name")
        else:
            self.to.append(address)
            self._say("250 ok")

    def _take(self, _: str) -> None:
        self._say("354 go on")
        lines = []
        while (part := self.rfile.readline()) != b".\r\n":
            lines.append(part.removeprefix(b".") if part.startswith(b"..") else part)
        self.mailbox.mails.append(message_from_bytes(b"".join(lines), policy=policy.default))
        self.mailbox.receivers.append(self.to)
        self._say("250 taken")

    def _say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")


@contextmanager
def mail_server(
    certificate: tuple[Path, Path] | None = None, login: tuple[str, str] | None = None, *, tls_first: bool = False
) -> Iterator[Mailbox]:
    """A server that takes mails; with a certificate it wants TLS, by STARTTLS or from the first byte."""
    mailbox, context = Mailbox(), None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)

    class Session(_Session):
        pass

    Session.mailbox, Session.login, Session.context = mailbox, login, None if tls_first else context

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def get_request(self) -> tuple[socket.socket, object]:
            request, address = super().get_request()
            return (context.wrap_socket(request, server_side=True) if tls_first and context else request), address

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: a client that does not like the certificate leaves."""

    with Server(("127.0.0.1", 0), Session) as server:
        mailbox.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
        thread.start()
        try:
            yield mailbox
        finally:
            server.shutdown()
            thread.join()
