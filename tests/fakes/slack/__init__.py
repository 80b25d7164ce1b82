"""What `tests.fakes.slack_api` is made of."""
