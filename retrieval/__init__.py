"""What is known, who may read it, how it is found, answered and cited. Knows nothing of chat."""

import os

# Haystack reports usage to its makers unless told before its first import, wherever that is.
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
