"""Log stores, counting, readings, integrity figures, ingest."""
