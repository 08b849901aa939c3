"""Runs one server process until nobody uses it any more, and ends it then, however its users ended.

Every user holds a shared lock on a file. The guard asks for an exclusive one, and gets it when the last user is gone:
the kernel lets go of a lock with the process, also with one that was killed.

Called as `elasticsearch_guard.py LOCK FOLDER USER GROUP LOG COMMAND…`: FOLDER is removed at the end unless it is `-`,
USER and GROUP are numbers or `-`. LOG gets what the command prints, and `LOG.ended` appears when it ended.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path


def main(lock: str, folder: str, user: str, group: str, log: str, *command: str) -> int:
    """Starts the command and waits for its end or that of its users, in the background: it prints its number first."""
    if guard := os.fork():
        print(guard)
        return 0
    os.setsid()
    os.close(sys.stdout.fileno())  # whoever reads the number reads to the end
    with Path(log).open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            **({} if user == "-" else {"user": int(user), "group": int(group), "extra_groups": []}),
        )
    ended, outlived = threading.Event(), threading.Event()

    def end() -> None:
        if not ended.is_set():  # later, the number may be somebody else's
            _kill(process.pid)

    signal.signal(signal.SIGTERM, lambda *_: end())
    threading.Thread(target=_outlive, args=(lock, end, outlived), daemon=True).start()
    process.wait()
    deadline = time.monotonic() + 10
    while _kill(process.pid) and time.monotonic() < deadline:  # the launcher may be gone before the server
        time.sleep(0.05)
    ended.set()
    Path(f"{log}.ended").touch()
    if folder != "-":
        outlived.wait()  # they may want to read why it ended
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _outlive(lock: str, end: Callable[[], None], outlived: threading.Event) -> None:
    with Path(lock).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        end()
        outlived.set()
        threading.Event().wait()  # keeps the lock: whoever comes now finds the server taken


def _kill(group: int) -> bool:
    """Whether there was somebody left to kill."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
