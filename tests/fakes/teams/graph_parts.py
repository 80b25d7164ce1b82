"""All that Graph consists of: importing a part adds its routes."""

from tests.fakes.teams import (
    channel_deltas,
    drives,
    graph_files,
    graph_messages,
    graph_people,
    graph_teams,
    subscriptions,
)

PARTS = (
    graph_people,
    graph_teams,
    graph_messages,
    channel_deltas,
    graph_files,
    drives,
    subscriptions,
)
