"""The parts of the embedded store; `retrieval.embedded_store` puts them together."""
