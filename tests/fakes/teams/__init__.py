"""What `tests.fakes.teams_api` is made of."""
