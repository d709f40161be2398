"""How alerts get to people: an outbox in a real PostgreSQL, and receivers that are away, slow, wrong, or hear twice."""

import hashlib
import hmac
import json
import logging
import multiprocessing
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from hearth import periodic
from hearth.alerts import AlertStore, Severity, sender
from hearth.alerts.mail import Mail
from hearth.alerts.outbox import Outbox
from hearth.alerts.sender import AlertSender
from hearth.alerts.webhook import Webhook
from hearth.predictions.migration import migrate
from tests.support.alert_receivers import Mailbox, Webhooks, free_port, mail_server, webhook_server
from tests.support.authority import Authority
from tests.support.waiting import LIMIT_SECONDS, wait_until

POLL = 0.05
HOSTILE = "<!channel> *bold* <https://evil|click>\r\nBcc: all@example.org\r\n\r\n<script>alert(1)</script> & ✓"


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "_FIRST_RETRY_SECONDS", 0.1)


@pytest.fixture
def outbox(fresh_database: str) -> Iterator[Outbox]:
    migrate(fresh_database)
    with Outbox(fresh_database) as outbox:
        yield outbox


@pytest.fixture
def hooks() -> Iterator[Webhooks]:
    with webhook_server() as hooks:
        yield hooks


def texts(hooks: Webhooks) -> list[str]:
    return [json.loads(post.body)["text"] for post in hooks.posts]


def is_settled(outbox: Outbox, alert_id: int, events: int) -> bool:
    deliveries = outbox.deliveries(alert_id)
    return len(deliveries) == events and all(delivery.sent_at for delivery in deliveries)


def plain_mail(mailbox: Mailbox, *receivers: str) -> Mail:
    return Mail("127.0.0.1", mailbox.port, "none", "", "", "hearth@example.org", receivers or ("ops@example.org",))


def test_opening_a_rise_and_resolving_are_posted_in_order_and_nothing_else(outbox: Outbox, hooks: Webhooks) -> None:
    alert = outbox.open("drift", "employees", "warning", "one column", {"psi": 0.1})
    outbox.open("drift", "employees", "warning", "one column, again")
    outbox.acknowledge(alert.id, "ada")
    outbox.open("drift", "employees", "critical", "two columns")
    outbox.resolve("drift", "employees", "it is quiet", by="ada")
    with AlertSender(outbox, [Webhook(hooks.url)], link="https://page.example.org", poll_seconds=POLL):
        wait_until(lambda: is_settled(outbox, alert.id, 3))

    assert texts(hooks) == [
        "WARNING employees: drift\none column\nhttps://page.example.org",
        "CRITICAL employees: drift\ntwo columns\nhttps://page.example.org",
        "RESOLVED employees: drift (by ada)\nit is quiet\nhttps://page.example.org",
    ]
    opened, *_ = (json.loads(post.body) for post in hooks.posts)
    assert (opened["event"], opened["severity"], opened["alert"]["id"]) == ("opened", "warning", alert.id)
    assert opened["alert"]["state"] == "resolved"  # as it is now
    assert len({post.headers["hearth-delivery"] for post in hooks.posts}) == 3
    assert "hearth-signature" not in hooks.posts[0].headers


def test_a_receiver_can_check_the_signature_and_takes_hostile_words_for_text(outbox: Outbox, hooks: Webhooks) -> None:
    outbox.open("drift", "employees", "warning", HOSTILE)
    with AlertSender(outbox, [Webhook(hooks.url, "a-key-of-ours")], poll_seconds=POLL):
        wait_until(lambda: hooks.posts)
    [post] = hooks.posts
    seconds, _, digest = post.headers["hearth-signature"].removeprefix("t=").partition(",v1=")
    assert abs(int(seconds) - time.time()) < 60
    assert hmac.compare_digest(digest, hmac.new(b"a-key-of-ours", f"{seconds}.".encode() + post.body, hashlib.sha256).hexdigest())
    body = json.loads(post.body)
    assert "&lt;!channel&gt; *bold* &lt;https://evil|click&gt; Bcc: all@example.org" in body["text"]
    assert "<" not in body["text"]
    assert body["mrkdwn"] is False
    assert body["alert"]["summary"].startswith("<!channel> *bold*")


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_mails_go_over_tls_with_a_login_and_hostile_words_add_no_header(
    outbox: Outbox, tls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    certificate = authority.sign("DNS:localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    alert = outbox.open("drift", "employees", "critical", HOSTILE)
    outbox.resolve("drift", "employees", "quiet")
    with mail_server(certificate, ("hearth", "geheim"), tls_first=tls == "tls") as mailbox:
        receivers = ("ops@example.org", "ada@example.org")
        mail = Mail("localhost", mailbox.port, tls, "hearth", "geheim", "hearth@example.org", receivers)  # type: ignore[arg-type]
        with AlertSender(outbox, [mail], poll_seconds=POLL):
            wait_until(lambda: is_settled(outbox, alert.id, 2), problem=lambda: outbox.deliveries(alert.id))
    opened, resolved = mailbox.mails
    assert mailbox.receivers == [list(receivers)] * 2
    assert set(opened.keys()) >= {"Subject", "From", "To", "Date", "Message-ID"}
    assert "Bcc" not in opened
    assert opened["Subject"].startswith("[Hearth] CRITICAL employees: drift: <!channel> *bold* <https://evil|click> Bcc: all@example.org")
    assert opened.get_content_type() == "text/plain"
    assert "<script>alert(1)</script> & ✓" in opened.get_content()
    assert resolved["In-Reply-To"] == opened["Message-ID"]
    assert ("STARTTLS" in mailbox.commands) == (tls == "starttls")


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_no_mail_and_no_password_go_to_a_server_whose_certificate_nobody_knows(outbox: Outbox, tmp_path: Path) -> None:
    alert = outbox.open("drift", "employees", "critical", "x")
    with mail_server(Authority(tmp_path).sign("DNS:localhost"), ("hearth", "geheim")) as mailbox:
        mail = Mail("localhost", mailbox.port, "starttls", "hearth", "geheim", "hearth@example.org", ["ops@example.org"])
        with AlertSender(outbox, [mail], poll_seconds=POLL):
            wait_until(lambda: any(delivery.error for delivery in outbox.deliveries(alert.id)))
        assert "certificate verify failed" in str(outbox.deliveries(alert.id)[0].error)
        assert not mailbox.mails
        assert "AUTH" not in mailbox.commands


def test_a_wrong_password_is_a_failure_that_shows_none(outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    alert = outbox.open("drift", "employees", "critical", "x")
    with mail_server(login=("hearth", "right")) as mailbox:
        mail = Mail("127.0.0.1", mailbox.port, "none", "hearth", "geheimnis", "hearth@example.org", ["ops@example.org"])
        with AlertSender(outbox, [mail], poll_seconds=POLL):
            wait_until(lambda: any(delivery.error for delivery in outbox.deliveries(alert.id)))
    assert "535 wrong password" in str(outbox.deliveries(alert.id)[0].error)
    assert "535 wrong password" in caplog.text
    assert "geheimnis" not in caplog.text


def test_a_mail_that_one_of_two_receivers_cannot_get_is_sent_once_and_one_for_nobody_is_tried_again(outbox: Outbox) -> None:
    alert = outbox.open("drift", "employees", "critical", "x")
    with mail_server() as mailbox:
        mailbox.refuses.add("gone@example.org")
        with AlertSender(outbox, [plain_mail(mailbox, "gone@example.org", "ops@example.org")], poll_seconds=POLL):
            wait_until(lambda: is_settled(outbox, alert.id, 1))
        assert mailbox.receivers == [["ops@example.org"]]
        outbox.resolve("drift", "employees", "quiet")
        mailbox.refuses.add("ops@example.org")
        with AlertSender(outbox, [plain_mail(mailbox)], poll_seconds=POLL):
            wait_until(lambda: outbox.deliveries(alert.id)[-1].error)
            mailbox.refuses.clear()
            wait_until(lambda: is_settled(outbox, alert.id, 2))
    assert len(mailbox.mails) == 2


def test_a_receiver_that_is_away_hears_everything_once_when_it_is_back(outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    first = outbox.open("drift", "employees", "warning", "first")
    url = f"http://127.0.0.1:{port}/services/T0/secret-token"
    with AlertSender(outbox, [Webhook(url)], poll_seconds=POLL) as running:
        wait_until(lambda: running.outcomes["webhook", "failed"] >= 2)
        outbox.resolve("drift", "employees", "first is over")
        outbox.open("quality", "employees", "warning", "second")
        assert "secret-token" not in caplog.text
        assert "127.0.0.1: ConnectError" in caplog.text
        with webhook_server(port) as hooks:
            wait_until(lambda: outbox.waiting() == {} and len(hooks.posts) == 3)
            assert [text.splitlines()[1] for text in texts(hooks) if "drift" in text] == ["first", "first is over"]
            assert len(hooks.posts) == 3
    assert is_settled(outbox, first.id, 2)


@pytest.mark.parametrize(("status", "reason"), [(500, "answered 500"), (302, "answered 302"), (404, "answered 404")])
def test_an_answer_that_is_no_success_is_tried_again(
    outbox: Outbox, hooks: Webhooks, status: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    hooks.statuses.append(status)
    hooks.headers["Location"] = hooks.url
    alert = outbox.open("drift", "employees", "warning", "x")
    with AlertSender(outbox, [Webhook(hooks.url)], poll_seconds=POLL) as running:
        wait_until(lambda: is_settled(outbox, alert.id, 1))
        wait_until(lambda: +running.outcomes == {("webhook", "failed"): 1, ("webhook", "sent"): 1})  # counted after it is settled
    assert len({post.headers["hearth-delivery"] for post in hooks.posts}) == 1
    assert len(hooks.posts) == 2
    assert reason in caplog.text


def test_a_receiver_that_wants_time_gets_it(outbox: Outbox, hooks: Webhooks) -> None:
    hooks.statuses.append(429)
    hooks.headers["Retry-After"] = "600"
    alert = outbox.open("drift", "employees", "warning", "x")
    with AlertSender(outbox, [Webhook(hooks.url)], poll_seconds=POLL) as running:
        wait_until(lambda: running.outcomes["webhook", "failed"])
        wait_until(lambda: outbox.deliveries(alert.id)[0].error)
    [delivery] = outbox.deliveries(alert.id)
    assert (delivery.next_at - alert.opened_at).total_seconds() > 590


def test_a_receiver_that_never_answers_holds_up_no_other_channel(outbox: Outbox) -> None:
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        mailbox = stack.enter_context(mail_server())
        webhook = Webhook(f"http://127.0.0.1:{silent.getsockname()[1]}/", seconds=0.5)
        alert = outbox.open("drift", "employees", "warning", "x")
        stack.enter_context(AlertSender(outbox, [webhook, plain_mail(mailbox)], poll_seconds=POLL))
        wait_until(lambda: mailbox.mails)
        wait_until(lambda: any(delivery.error for delivery in outbox.deliveries(alert.id)))
    assert {delivery.channel: delivery.error for delivery in outbox.deliveries(alert.id)} == {
        "mail": None,
        "webhook": "127.0.0.1 has not answered within 0.5 s",
    }


def test_a_mail_server_that_says_one_letter_at_a_time_is_given_up_in_time(outbox: Outbox) -> None:
    alert = outbox.open("drift", "employees", "warning", "x")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mail = Mail("127.0.0.1", silent.getsockname()[1], "none", "", "", "a@example.org", ["b@example.org"], seconds=0.5)
        with AlertSender(outbox, [mail], poll_seconds=POLL) as running:
            peer, _ = silent.accept()
            with peer:
                peer.sendall(b"220 here\r\n")
                end = time.monotonic() + 20
                while not running.outcomes and time.monotonic() < end:
                    try:
                        peer.sendall(b"2")
                    except OSError:
                        break
                    time.sleep(0.05)
                wait_until(lambda: running.outcomes["mail", "failed"], 10)
    assert outbox.deliveries(alert.id)[0].sent_at is None


def test_what_is_not_urgent_is_not_sent_but_what_was_sent_is_called_off(outbox: Outbox, hooks: Webhooks) -> None:
    outbox.open("quiet", "employees", "info", "x")
    outbox.resolve("quiet", "employees", "over")
    loud = outbox.open("loud", "employees", "critical", "x")
    outbox.open("loud", "employees", "info", "better")
    with AlertSender(outbox, [Webhook(hooks.url)], lowest=Severity.WARNING, poll_seconds=POLL):
        wait_until(lambda: is_settled(outbox, loud.id, 1))
        outbox.resolve("loud", "employees", "over")
        wait_until(lambda: is_settled(outbox, loud.id, 2))
    assert [text.splitlines()[0] for text in texts(hooks)] == ["CRITICAL employees: loud", "RESOLVED employees: loud"]


def test_after_a_day_an_event_is_given_up_with_a_line_in_the_log_and_the_next_is_sent(
    outbox: Outbox, fresh_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    alert = outbox.open("drift", "employees", "warning", "too old")
    with AlertSender(outbox, [Webhook(f"http://127.0.0.1:{port}/secret-token")], poll_seconds=POLL) as running:
        wait_until(lambda: running.outcomes["webhook", "failed"])
        with psycopg.connect(fresh_database, autocommit=True) as connection:
            connection.execute("UPDATE alert_events SET at = at - interval '25 hours'")
        wait_until(lambda: running.outcomes["webhook", "given_up"])
        outbox.resolve("drift", "employees", "over")
        with webhook_server(port) as hooks:
            wait_until(lambda: hooks.posts)
    assert [text.splitlines()[0] for text in texts(hooks)] == ["RESOLVED employees: drift"]
    [line] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert line.startswith(f"alert {alert.id} (drift of employees): 'opened' is given up after ")
    assert "by webhook to 127.0.0.1; the last error: 127.0.0.1: ConnectError" in line
    assert "secret-token" not in caplog.text
    assert outbox.deliveries(alert.id)[0].gave_up_at


def send_for_ever(url: str, webhook: str, lease_seconds: float) -> None:
    with Outbox(url) as outbox, AlertSender(outbox, [Webhook(webhook)], poll_seconds=POLL, lease_seconds=lease_seconds):
        time.sleep(300)


def test_a_sender_that_is_killed_before_it_has_noted_the_answer_loses_nothing_and_the_receiver_can_tell_the_repetition(
    outbox: Outbox, fresh_database: str, hooks: Webhooks
) -> None:
    hooks.answers.clear()
    alert = outbox.open("drift", "employees", "warning", "x")
    killed = multiprocessing.get_context("spawn").Process(target=send_for_ever, args=(fresh_database, hooks.url, 1.0))
    killed.start()
    try:
        wait_until(lambda: hooks.posts)
    finally:
        os.kill(killed.pid or 0, signal.SIGKILL)
        killed.join()
    assert outbox.deliveries(alert.id)[0].sent_at is None
    hooks.answers.set()
    with AlertSender(outbox, [Webhook(hooks.url)], poll_seconds=POLL):
        wait_until(lambda: is_settled(outbox, alert.id, 1))
    assert len(hooks.posts) == 2
    assert len({post.headers["hearth-delivery"] for post in hooks.posts}) == 1


def test_senders_of_two_replicas_send_each_message_once(outbox: Outbox, fresh_database: str, hooks: Webhooks) -> None:
    context = multiprocessing.get_context("spawn")
    other = context.Process(target=send_for_ever, args=(fresh_database, hooks.url, 600.0), daemon=True)
    other.start()
    with AlertSender(outbox, [Webhook(hooks.url)], poll_seconds=POLL):
        for number in range(60):
            outbox.open("drift", f"set{number}", "warning", "x")
        wait_until(lambda: len(hooks.posts) >= 60 and outbox.waiting() == {})
    other.terminate()
    other.join()
    ids = [post.headers["hearth-delivery"] for post in hooks.posts]
    assert len(ids) == len(set(ids)) == 60


def test_without_a_store_the_sender_says_so_once_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    with Outbox(url, connect_seconds=2) as away, AlertSender(away, [Webhook("http://127.0.0.1:1/")], poll_seconds=POLL):
        wait_until(lambda: [record for record in caplog.records if record.name == periodic.__name__])
        time.sleep(0.2)
    ours = [record.getMessage() for record in caplog.records if record.name == periodic.__name__]
    assert [line.partition(":")[0] for line in ours] == ["alerts cannot be sent by webhook"]


def test_opening_an_alert_waits_for_no_receiver(outbox: Outbox, fresh_database: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        webhook = Webhook(f"http://127.0.0.1:{silent.getsockname()[1]}/", seconds=LIMIT_SECONDS)
        with AlertStore(fresh_database) as store, AlertSender(outbox, [webhook], poll_seconds=POLL):
            store.open("drift", "employees", "warning", "x")
            peer, _ = silent.accept()
            start = time.monotonic()
            store.open("drift", "employees", "critical", "x")
            store.resolve("drift", "employees", "over")
            assert time.monotonic() - start < LIMIT_SECONDS
            peer.close()
    assert outbox.give_up("webhook", timedelta(0))


def test_every_outcome_is_there_from_the_start(outbox: Outbox) -> None:
    """Prometheus sees no increase in a series that begins with its first event, so the alert on what was given up would miss one."""
    counts = AlertSender(outbox, [Webhook("http://127.0.0.1:9/")]).outcomes

    assert counts == {("webhook", outcome): 0 for outcome in ("sent", "failed", "given_up")}
    assert len(counts) == 3
