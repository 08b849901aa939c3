"""Which channel the settings name, kept open for as long as they stay the same."""

from __future__ import annotations

from config.models import Email
from notifiers.channel import Channel
from notifiers.files import FilesChannel


class Channels:
    """Keeps the channel in use; used by one thread at a time."""

    def __init__(self) -> None:
        self._mail: Email | None = None
        self._channel: Channel | None = None

    def of(self, mail: Email) -> Channel:
        """The channel for these settings: the one at hand when they have not changed, else a new one in its place."""
        if self._channel is None or mail != self._mail:
            self.close()
            self._mail, self._channel = mail, channel_of(mail)
        return self._channel

    def close(self) -> None:
        """Closes the channel at hand."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def channel_of(mail: Email) -> Channel:
    """A new channel, as the settings say."""
    if mail.transport == "smtp":
        from notifiers.smtp import SmtpChannel  # noqa: PLC0415  # asyncio and TLS, needed by those who send alone

        return SmtpChannel(mail)
    return FilesChannel(mail.folder)
