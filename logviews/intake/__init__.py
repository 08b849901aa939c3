"""What enters an embedded store: files of messages, taken in by hand or picked up."""
