"""Kills `tallywatch ingest` into Elasticsearch at random moments, runs it again until it is done, and counts.

Three files with ids, plain, compressed and CSV, with duplicates inside and across files, into an index that is not
there yet. At the end each id is counted exactly once, by `count` and by the server's own word, and nothing is left.

    python tests/campaigns/kill_elastic_ingest.py --moments 50 --seed 1

Without `--url` and ELASTICSEARCH_URL, a server is started for it.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from campaign import ROOT, kill_after, run_to_end
from elasticsearch import Elasticsearch
from kill_ingest import Case, counted_in, prepare

sys.path.insert(0, str(ROOT / "tests/elastic"))  # as pytest has it
sys.path.insert(0, str(ROOT))

from elasticsearch_server import shared_server

CONFIGURATION: Final = """
settings: {{database: "sqlite:///t.db", zone: UTC}}
stores:
  ids: {{type: elasticsearch, hosts: ["{url}"], index: {index}, fields: {{time: t, customer: c, id: id}}}}
views:
  ids: {{store: ids, where: {{s: x}}}}
"""
LONGEST_SECONDS: Final = 60.0


def number_of(client: Elasticsearch, index: str) -> int:
    """How many messages are stored, once the last request of a killed process has had its effect."""
    before, now = -1, 0
    while now != before:
        time.sleep(0.3)
        client.indices.refresh(index=index, ignore_unavailable=True)
        before, now = now, int(client.count(index=index, ignore_unavailable=True)["count"])
    return now


def one_case(case: Case, client: Elasticsearch, index: str, dice: random.Random, kills: int, lasts: float) -> int:
    """Kills the ingest so many times, lets it end, and checks everything; how many kills found it at work."""
    files, amid = case.ingests["ids"], 0
    for _ in range(kills):
        before = number_of(client, index)
        killed = kill_after(dice.uniform(0.3, lasts), case.base, "ingest", "ids", *files)
        after = number_of(client, index)
        assert after >= before, "a message that was stored is gone"
        amid += killed and after > before
    run_to_end(case.base, "ingest", "ids", *files)
    wanted = case.expected["ids"][0]
    found, _ = counted_in(case.base, "ids")
    assert found == wanted, f"too many {dict(found - wanted)}, too few {dict(wanted - found)}"
    assert number_of(client, index) == sum(wanted.values()), "the server has other messages besides"
    left = list(Path(os.environ["TMPDIR"]).iterdir())
    assert not left, f"a killed process left {left} behind, and no later one removed it"
    return amid


def campaign(work: Path, url: str, moments: int, seed: int, lines: int) -> None:
    """The whole campaign in an empty folder; AssertionError says what was wrong."""
    dice, kills, amid, cases = random.Random(seed), 0, 0, 0
    scratch = work / "scratch"
    scratch.mkdir()
    os.environ["TMPDIR"] = str(scratch)
    with Elasticsearch(url) as client:
        lasts = 2.0
        while kills < moments:
            index = f"kill-ingest-{os.getpid()}-{cases}"
            case = prepare(work / str(cases), dice, lines)
            (case.base / "tallywatch.yaml").write_text(CONFIGURATION.format(url=url, index=index))
            number = min(dice.randint(1, 6), moments - kills)
            try:
                amid += one_case(case, client, index, dice, number, lasts)
                if not cases:  # how long it takes when everything is new
                    client.indices.delete(index=index)
                    lasts = min(LONGEST_SECONDS, run_to_end(case.base, "ingest", "ids", *case.ingests["ids"]))
            finally:
                client.options(ignore_status=404).indices.delete(index=index)
                client.options(ignore_status=404).indices.delete_index_template(name="tallywatch-ids")
            kills, cases = kills + number, cases + 1
            print(f"{kills}/{moments} kills in {cases} cases, {amid} of them amid the messages", flush=True)
    print(f"{kills} kills, {amid} of them amid the messages; every message was counted once")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", default=os.environ.get("ELASTICSEARCH_URL"))
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lines", type=int, default=40_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill-") as work, ExitStack() as until_the_end:
        server = Path(work) / "server"
        server.mkdir()
        url = options.url or until_the_end.enter_context(shared_server(server))
        campaign(Path(work), url, options.moments, options.seed, options.lines)


if __name__ == "__main__":
    main()
