"""What can go wrong while talking with people."""

from retrieval.errors import ShifuError


class DirectoryUnavailable(ShifuError):
    """Who somebody is, or who reads a conversation, cannot be established now."""


class StateUnavailable(ShifuError):
    """Redis does not answer; nothing can be remembered."""


class RedisNotInstalled(StateUnavailable):
    """No Redis server is on this machine; its text names the command that installs one."""


class ChannelUnavailable(ShifuError):
    """The chat platform does not take our message now."""
