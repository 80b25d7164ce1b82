"""What is known, who may read it, how it is found, answered and cited. Knows nothing of chat."""
