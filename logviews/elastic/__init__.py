"""Logs in Elasticsearch, counted exactly or not at all."""
