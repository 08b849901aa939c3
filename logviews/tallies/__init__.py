"""Tallies: what was counted once is kept, and only what has changed is counted again."""
