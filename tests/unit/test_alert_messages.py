"""What is said of an alert: words from anywhere stay words, on one line where a header or a log begins."""

import json
import math
from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.alerts import Alert, AlertEvent, EventKind, Severity
from hearth.alerts.mail import mail
from hearth.alerts.message import Message
from hearth.alerts.sender import backoff_seconds
from hearth.alerts.texts import one_line, plain_json
from hearth.alerts.webhook import signature
from hearth.errors import InvalidSettings
from hearth.settings import AlertSettings

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
ANY_TEXT = st.text(st.characters(codec=None), max_size=300)  # also half surrogate pairs
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=20,
)


def message(kind: str = "drift", dataset: str = "employees", text: str = "moved", event: EventKind = EventKind.OPENED) -> Message:
    alert = Alert(7, kind, dataset, Severity.WARNING, text, {}, 1, NOW, NOW, None, None, None, None, None, None)
    return Message(alert, AlertEvent(12, 7, event, NOW, Severity.WARNING, "hearth", text), 11)


@given(ANY_TEXT, st.integers(2, 50))
def test_a_line_is_a_line_that_utf8_can_hold(text: str, longest: int) -> None:
    line = one_line(text, longest)
    assert len(line) <= longest
    assert line.isprintable()
    assert line == line.strip()
    assert line.encode().decode() == line
    assert one_line(line, longest) == line


@given(JSON)
def test_any_json_becomes_json_that_postgresql_takes(value: object) -> None:
    written = json.dumps(plain_json(value), allow_nan=False)
    assert "\\u0000" not in written
    json.dumps(json.loads(written), ensure_ascii=False).encode()  # no half of a pair of surrogates is left
    assert plain_json(json.loads(written)) == json.loads(written)


def test_small_values_stay_as_they_are() -> None:
    value = {"columns": ["Sleep Hours"], "psi": 0.25, "n": 3, "none": None, "yes": True, "text": "two\nlines"}
    assert plain_json(value) == value
    assert plain_json({"n": math.inf, "deep": [[[[[[[1]]]]]]], "big": 10**5000}) == {
        "n": "inf",
        "deep": [[[[["…"]]]]],
        "big": hex(10**5000)[:199] + "…",
    }


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_no_words_add_a_header_to_a_mail(kind: str, dataset: str, text: str) -> None:
    # as the store holds them
    written = mail(message(one_line(kind), one_line(dataset), one_line(text)), "hearth@example.org", ["ops@example.org"]).as_bytes()
    headers, _, body = written.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in headers.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert len(names) == len(set(names))
    assert set(names) <= {
        *(b"Subject", b"From", b"To", b"Date", b"Message-ID", b"In-Reply-To", b"References", b"Auto-Submitted"),
        *(b"Content-Type", b"Content-Transfer-Encoding", b"MIME-Version"),
    }
    parsed = message_from_bytes(written, policy=policy.default)
    assert parsed["To"] == "ops@example.org"
    assert one_line(text)[:20] in " ".join(parsed.get_content().split()) or body


@given(ANY_TEXT)
def test_a_body_for_slack_holds_no_sign_that_calls_or_links(text: str) -> None:
    body = json.loads(message(text=one_line(text)).to_json())
    assert not set("<>") & set(body["text"])
    assert body["alert"]["summary"] == one_line(text)


def test_a_resolution_is_called_one_and_answers_to_the_first_mail() -> None:
    resolved = message(event=EventKind.RESOLVED)
    assert resolved.title == "RESOLVED employees: drift"
    assert mail(resolved, "Hearth <hearth@example.org>", ["ops@example.org"])["In-Reply-To"] == "<hearth-alert-7-11@example.org>"
    assert message(dataset="").title == "WARNING the stack: drift"


def test_the_signature_is_of_the_time_and_the_body() -> None:
    assert signature(b"key", b"{}", 1_764_417_600) == ("t=1764417600,v1=66ea399cd93cff2669d03b149b454f7047d947176cb0f0ab9a90171a90787f4a")


def test_attempts_come_ever_more_slowly_up_to_five_minutes() -> None:
    assert [backoff_seconds(attempts) for attempts in (1, 2, 3, 7, 8, 5_000)] == [5, 10, 20, 300, 300, 300]


LAPTOP = {"environment": "laptop", "data_dir": "data"}
MAIL = {"alert_mail_host": "mail.example.org", "alert_mail_from": "hearth@example.org", "alert_mail_to": "a@example.org, b@example.org"}


def alert_settings(**values: Any) -> AlertSettings:
    return AlertSettings(_env_file=None, **{**LAPTOP, **values})


def test_alerts_are_sent_nowhere_unless_it_is_said() -> None:
    settings = alert_settings()
    assert not settings.alert_webhook_url.get_secret_value()
    assert not settings.alert_mail_host


def test_settings_of_mail_are_complete_or_refused() -> None:
    assert alert_settings(**MAIL).alert_mail_to == ("a@example.org", "b@example.org")
    for missing in ("alert_mail_from", "alert_mail_to"):
        with pytest.raises(InvalidSettings, match="HEARTH_ALERT_MAIL_HOST is set"):
            alert_settings(**{**MAIL, missing: ""})
    with pytest.raises(InvalidSettings, match="would go over the net"):
        alert_settings(environment="production", **MAIL, alert_mail_tls="none", alert_mail_user="hearth")


@pytest.mark.parametrize("address", ["nobody", "a@b\nBcc: c@d", "Ada <ada@example.org>", "a@b>,<c@d"])
def test_an_address_that_would_be_more_than_one_is_refused(address: str) -> None:
    with pytest.raises(InvalidSettings, match="HEARTH_ALERT_MAIL_FROM"):
        alert_settings(**{**MAIL, "alert_mail_from": (address,)})


@pytest.mark.parametrize("url", ["ftp://example.org", "hooks.example.org/secret", "https:///secret", "file:///etc/passwd"])
def test_a_webhook_is_http_and_an_error_shows_no_part_of_it(url: str) -> None:
    with pytest.raises(InvalidSettings, match=r"HEARTH_ALERT_WEBHOOK_URL .* expected http://") as caught:
        alert_settings(alert_webhook_url=url)
    assert url not in str(caught.value)
