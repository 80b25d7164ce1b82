"""What the buttons on our cards ask for, what their data is called, and the inputs of our dialogs."""

WHY, SOURCES, SHARE, COPY = "shifu.why", "shifu.sources", "shifu.share", "shifu.copy"
"""Beneath an answer; `ANSWER` in the data is its feedback id."""

SHARE_CONFIRMED, CANCELLED = "shifu.share.confirmed", "shifu.cancelled"
"""Of the preview; its data comes back as it was given."""

REFRESH = "shifu.refresh"
"""What Teams asks by itself for the one person who has a card of their own; `EVENT` in the data."""

WITHDRAW = "shifu.review.withdraw"
"""Of what waits for review, by whoever has offered it; `SUBMISSION` in the data."""

VERB, ANSWER, EVENT, SUBMISSION = "verb", "answer", "event", "submission"

REASONS, COMMENT = "reasons", "comment"
"""Inputs of the feedback's dialog."""

TITLE, TEXT, AUDIENCE = "title", "text", "audience"
"""Inputs of what is to be saved or reviewed."""
