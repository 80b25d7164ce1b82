"""The parts of the Weaviate store; `retrieval.weaviate_store` puts them together."""
