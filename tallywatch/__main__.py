"""The entry point: refuses to start among strangers, then runs the command line."""

from __future__ import annotations

import gc
import sys
from typing import Final

from tallywatch.guard import strangers

_ALLOCATIONS: Final = 50_000


def collect_seldom() -> None:
    """Lets Python look for unreachable cycles after 50,000 new objects and not after 700.

    Next to nothing here is in cycles, and looking costs a twelfth of the start, and more of a large count.
    """
    gc.set_threshold(_ALLOCATIONS, *gc.get_threshold()[1:])


def main() -> None:
    """Runs the program; never returns."""
    if found := strangers():
        sys.stderr.write("tallywatch cannot start: " + "; ".join(found) + ".\n")
        sys.stderr.write(
            "Install it in a virtual environment of its own: python3 -m venv .venv && .venv/bin/pip install .\n"
        )
        sys.exit(2)
    collect_seldom()
    from tallywatch.cli import run  # noqa: PLC0415 (only once it is known whose packages it would import)

    run()


if __name__ == "__main__":
    main()
