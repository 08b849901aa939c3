"""What can go wrong with a notice, as sentences for the operator."""

from __future__ import annotations

from config.errors import TallywatchError


class NoticeError(TallywatchError):
    """A notice that cannot be rendered or found: the others are not concerned."""

    exit_status = 2


class NothingToSendError(TallywatchError):
    """A preview that was asked for where no notice would be sent, with the reason."""

    exit_status = 1


class ChannelError(TallywatchError):
    """A channel that cannot take any message now, such as a folder that cannot be written."""
