"""The entry point: refuses to start among strangers, then runs the command line."""

from __future__ import annotations

import sys

from tallywatch.guard import strangers


def main() -> None:
    """Runs the program; never returns."""
    if found := strangers():
        sys.stderr.write("tallywatch cannot start: " + "; ".join(found) + ".\n")
        sys.stderr.write(
            "Install it in a virtual environment of its own: python3 -m venv .venv && .venv/bin/pip install .\n"
        )
        sys.exit(2)
    from tallywatch.cli import run  # noqa: PLC0415 (only once it is known whose packages it would import)

    run()


if __name__ == "__main__":
    main()
