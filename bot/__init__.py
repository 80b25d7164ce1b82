"""How a conversation behaves, on any platform."""
