"""Other people's systems, and the wiring."""

import os

# Read when numpy is first imported, so set before anything else here. Our matrices are small: more
# threads only wait for each other, at up to four times the processor time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
