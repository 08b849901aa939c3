"""The doctor: the configuration against the real world, one finding to a check."""
