"""The program: command line, and what composes the rooms."""

__version__ = "0.1.0"
