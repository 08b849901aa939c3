"""The service: what runs for years. One tick works through what is due, delivery has a thread of its own."""
