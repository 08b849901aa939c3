"""One month, its logs in an embedded store and in Elasticsearch: the same files for finance and mails, byte by byte.

The demo's month with the reference case in it is taken in, evaluated on October's mornings, closed and exported by the
commands, once with each store. With `--small`, the month has the customers A, B and D and few others.

    python tests/campaigns/same_figures.py

Without `--url` and ELASTICSEARCH_URL, a server is started for it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from campaign import ROOT, run_to_end
from elasticsearch import Elasticsearch

sys.path.insert(0, str(ROOT / "tests/elastic"))  # as pytest has it
sys.path.insert(0, str(ROOT))

from elasticsearch_server import shared_server

from tallywatch.demo import folder, logs, month
from tallywatch.demo.customers import DemoCustomer, customers, roster_csv
from tallywatch.demo.walk import mornings

CLOSED = re.compile(r"A,basic,127450,100000,27450,274.50|B,basic,87230,100000,0,0.00|D,basic,\d+,100000,")


@dataclass(frozen=True)
class Made:
    """What came of a month: the files for finance and the mails, by name."""

    exports: dict[str, bytes]
    mails: dict[str, bytes]
    seconds: dict[str, float]


def prepare(base: Path, messages: int, everyone: tuple[DemoCustomer, ...]) -> None:
    """The demo's folder as it is before anything is taken in."""
    configuration = Path(folder.__file__).with_name("configuration.yaml").read_text(encoding="utf-8")
    folder.prepare(base, {folder.CONFIGURATION: configuration, folder.ROSTER: roster_csv(everyone)})
    made = month.imagine(everyone, messages)
    with logs.writer(made.callers) as writer:
        for day in made.days():
            writer.write(base / folder.LOGS / logs.file_name(day.day), day.messages)


def in_elasticsearch(embedded: Path, base: Path, url: str, index: str) -> None:
    """The same folder with its store in Elasticsearch, and nothing else changed."""
    shutil.copytree(embedded, base)
    path = base / folder.CONFIGURATION
    store = f'    type: elasticsearch\n    hosts: ["{url}"]\n    index: {index}\n'
    text, number = re.subn(r"    type: embedded\n    folder: .*\n", store, path.read_text(encoding="utf-8"))
    assert number == 1
    path.write_text(text, encoding="utf-8")


def walk(base: Path) -> Made:
    """The month by the commands."""
    seconds = {}
    files = sorted(str(path) for path in (base / folder.LOGS).iterdir())
    seconds["ingest"] = run_to_end(base, "ingest", "api", *files)
    started = time.perf_counter()
    for at in mornings():
        run_to_end(base, "evaluate", "--at", at.isoformat(), "--commit")
    seconds["evaluate"] = time.perf_counter() - started
    seconds["close"] = run_to_end(base, "close", month.START.strftime("2026-10"), "--approve")
    run_to_end(base, "export", "2026-10")
    return Made(read(base / "exports", "*.csv"), read(base / "mail", "*.eml"), seconds)


def read(base: Path, pattern: str) -> dict[str, bytes]:
    """Every such file below a folder."""
    return {str(path.relative_to(base)): path.read_bytes() for path in sorted(base.rglob(pattern))}


def compare(work: Path, url: str, messages: int, everyone: tuple[DemoCustomer, ...]) -> None:
    """Raises AssertionError where the two differ in a byte."""
    index = f"figures-{os.getpid()}"
    prepare(work / "embedded", messages, everyone)
    in_elasticsearch(work / "embedded", work / "elasticsearch", url, index)
    try:
        one, other = walk(work / "embedded"), walk(work / "elasticsearch")
    finally:
        with Elasticsearch(url) as client:
            client.options(ignore_status=404).indices.delete(index=index)
            client.options(ignore_status=404).indices.delete_index_template(name="tallywatch-api")
    assert one.exports, "nothing was exported"
    assert one.mails, "nobody was told"
    assert CLOSED.search(b"".join(one.exports.values()).decode()), "the reference case is missing"
    assert one.exports == other.exports
    assert one.mails.keys() == other.mails.keys()
    differing = [name for name, content in one.mails.items() if other.mails[name] != content]
    assert not differing, f"{len(differing)} mails differ, such as {differing[0]}"
    print(f"{len(one.exports)} files and {len(one.mails)} mails are the same, byte by byte")
    for step, seconds in one.seconds.items():
        print(f"{step:10}  embedded {seconds:7.1f} s   Elasticsearch {other.seconds[step]:7.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", default=os.environ.get("ELASTICSEARCH_URL"))
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    everyone = customers()
    if options.small:
        everyone = tuple(one for one in everyone if one.id in ("A", "B", "D"))
    with tempfile.TemporaryDirectory(prefix="figures-") as work, ExitStack() as until_the_end:
        folder_of_server = Path(work) / "server"
        folder_of_server.mkdir()
        url = options.url or until_the_end.enter_context(shared_server(folder_of_server))
        compare(Path(work), url, options.messages, everyone)


if __name__ == "__main__":
    sys.exit(main())
