"""The store of our own: immutable Parquet parts, queried with DuckDB."""
