"""What can go wrong while talking with people."""

from retrieval.errors import ShifuError


class DirectoryUnavailable(ShifuError):
    """Who somebody is, or who reads a conversation, cannot be established now."""


class StateUnavailable(ShifuError):
    """Redis does not answer; nothing can be remembered."""


class RedisNotInstalled(StateUnavailable):
    """No Redis server is on this machine; its text names the command that installs one."""


class ChannelUnavailable(ShifuError):
    """
    The chat platform does not take our message now.

    Attributes:
        after_s: When it wants to be asked again, if it says so.
    """

    def __init__(self, text: str = "", *, after_s: float | None = None) -> None:
        super().__init__(text)
        self.after_s = after_s


class TryLater(Exception):
    """What the work needs is away for the moment; the entry of the inbox is not to blame."""

    def __init__(self, after_s: float) -> None:
        super().__init__(f"in {after_s} s")
        self.after_s = after_s


class LoanLost(Exception):
    """Somebody else has the entry now: nothing more may be shown or changed for it."""


class WrittenByAnotherVersion(Exception):
    """Nobody here can read the entry; a worker of that version can."""
