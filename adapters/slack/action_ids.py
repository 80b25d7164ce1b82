"""What buttons, inputs, modals and shortcuts are called; the manifest names the shortcuts too."""

FEEDBACK, WHY, SOURCES = "shifu_feedback", "shifu_why", "shifu_sources"
SHARE, COPY = "shifu_share", "shifu_copy"
"""Beneath an answer: the value is its feedback id."""

ASK_SHORTCUT, SAVE_SHORTCUT = "shifu_ask", "shifu_save"

ASK_VIEW, SAVE_VIEW = "shifu_ask", "shifu_save"
SHARE_VIEW, FEEDBACK_VIEW = "shifu_share", "shifu_feedback"

HOME_ASK, HOME_LANGUAGE, HOME_FORGET = "shifu_home_ask", "shifu_home_language", "shifu_home_forget"
HOME_SUGGESTION = "shifu_home_suggestion"
"""Followed by a number: in one row no id may stand twice. The value is the question."""
