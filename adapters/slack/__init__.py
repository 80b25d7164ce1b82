"""Slack: listeners, replies, people and channels."""
