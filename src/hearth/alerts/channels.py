"""The ways to people that the settings open."""

from collections.abc import Sequence

from hearth.alerts.mail import Mail
from hearth.alerts.sender import Channel
from hearth.alerts.webhook import Webhook
from hearth.settings import AlertSettings


def channels_of(settings: AlertSettings) -> Sequence[Channel]:
    """Return a channel for each setting that names a receiver; connects to none."""
    channels: list[Channel] = []
    if url := settings.alert_webhook_url.get_secret_value():
        channels.append(Webhook(url, settings.alert_webhook_signing_key.get_secret_value()))
    if settings.alert_mail_host:
        channels.append(
            Mail(
                settings.alert_mail_host,
                settings.alert_mail_port,
                settings.alert_mail_tls,
                settings.alert_mail_user,
                settings.alert_mail_password.get_secret_value(),
                settings.alert_mail_from[0],
                settings.alert_mail_to,
            )
        )
    return channels
