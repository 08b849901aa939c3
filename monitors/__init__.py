"""Judging readings, deciding whom to tell, and the evaluation that joins them."""
