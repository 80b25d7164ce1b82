"""From a source's files to chunks in the store."""
