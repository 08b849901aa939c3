"""Who got the right notice: ours and ElastAlert2 2.19.0 over the same two months, on the same server and mail server.

python benchmarks/elastic/notices.py [--seed N] [--url URL] [--only 'NAME;NAME'] [--realert 'days: 1']

450 customers of six tiers, warned above 90% of what a month includes, told above 100%, and below 5 messages at its end.
Everybody looks once a day. On 17 October everybody is killed and started again; one customer's address is answered 550.
What has to be sent comes from the messages alone (`people.py`). ElastAlert2's settings are in `elastalert_rules.py`.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import common
import elastalert_rules as rules
import loading
import own_config
import people
import rival
import told
from books import ELASTALERT, OURS
from mail_server import Mailbox, mail_server

INDEX: Final = "bench-notices"
FILTER: Final = "- term:\n    service.name: public-api\n"
WHERE: Final = "      service.name: public-api\n"


@dataclass(frozen=True)
class Way:
    """A way to configure ElastAlert2. `restart` are its options at the restart."""

    name: str
    grouped: rules.Grouped | None
    realert: str
    restart: tuple[str, ...] = ()


WAYS: Final = (
    Way("900 files", None, "days: 31"),
    Way("900 files, --start", None, "days: 31", ("--start", "2026-10-01T00:00:00+00:00")),
    Way("twelve grouped", rules.Grouped(), "days: 31"),
    Way(
        "twelve, all that helps",
        rules.Grouped(terms_size=1_000, keep_failing_rules=True, unseen=True, this_month=True),
        "days: 28",
    ),
)


class Scene:
    """The index, the mail server and the customers, and one of those who are compared at a time."""

    def __init__(self, url: str, folder: Path, persons: Sequence[people.Person]) -> None:
        self.url, self.folder, self.persons = url, folder, persons
        self.client = common.connected(url)
        self.documents = people.documents(persons)
        self.refused = f"{people.by_group(persons)['over in both months'][0].id}@example.com"

    def ours(self) -> told.Outcome:
        """The service."""
        with mail_server([self.refused]) as mail:
            own = own_config.Own(
                WHERE, people.INCLUDED, every="24h", smtp_port=mail.port, least=people.LEAST, url=self.url, index=INDEX
            )
            path = own_config.write(self.folder / "ours", own, ((one.id, one.tier) for one in self.persons))
            command = [sys.executable, str(rival.HERE / "own_driver.py"), str(path)]
            one = rival.Rival("tallywatch", command, self.url, OURS, self.folder / "ours.log")
            return self._play(one, mail)

    def theirs(self, way: Way) -> told.Outcome:
        """ElastAlert2, configured one way."""
        name = way.name.replace(" ", "-").replace(",", "")
        folder, indices = self.folder / name, f"bench-elastalert-{name}"
        with mail_server([self.refused]) as mail, loading.others(self.client, indices):
            setup = rules.Setup(self.url, INDEX, FILTER, "days: 1", mail.port, indices, realert=way.realert)
            watched = [rules.Watched(one.id, one.tier, one.warning, one.included) for one in self.persons]
            config = rules.write_configuration(folder, setup, way.grouped or rules.Grouped())
            if way.grouped is None:
                rules.write_files(folder, setup, watched, people.LEAST)
            else:
                rules.write_grouped(folder, setup, watched, way.grouped)
            one = rival.elastalert(way.name, config, self.url, ELASTALERT, self.folder / f"{name}.log")

            def november() -> None:  # before that, every window that slides over 31 days would be low
                if way.grouped is not None:
                    rules.write_grouped_low(folder, setup, people.LEAST, way.grouped)

            return self._play(one, mail, way.restart, november)

    def _play(
        self,
        one: rival.Rival,
        mail: Mailbox,
        restart: Sequence[str] = (),
        november: Callable[[], None] = lambda: None,
    ) -> told.Outcome:
        """Lets one of them live through the months; what happened before a pass is in the index then."""
        found, place = told.Outcome(one.name), 0
        with loading.index(self.client, INDEX):
            for at in people.passes():
                end = bisect_left(self.documents, at, place, key=lambda document: document[0])
                loading.load(self.client, INDEX, ((id_, text) for _, id_, text in self.documents[place:end]))
                self.client.indices.refresh(index=INDEX)
                place = end
                if at == people.FIRST:
                    one.start(at)
                if second := people.MONTHS[1] <= at < people.MONTHS[1] + people.DAY:
                    november()
                done = one.come_back(at, *restart) if at == people.RESTART else one.one_pass(at, reload=second)
                found.requests += done.requests
                found.add(mail.mails, at)
            found.disabled = done.said.get("disabled", 0)
            one.kill()
        found.attempts = mail.attempts
        return found


def main() -> None:
    """Plays them one after the other, and prints the table."""
    parser = common.arguments(__doc__.splitlines()[0], size=0)
    parser.add_argument("--realert", help="of the 900 files, such as 'days: 1', the example of ElastAlert2's FAQ")
    parser.add_argument("--only", help="names of those to play, separated by ;")
    given = parser.parse_args()
    persons = people.people(given.seed)
    with common.server(given.url) as url, common.scratch() as folder:
        scene = Scene(url, folder, persons)
        ways = [replace(way, realert=given.realert or way.realert) if way.grouped is None else way for way in WAYS]
        plays = {"tallywatch": scene.ours, **{way.name: partial(scene.theirs, way) for way in ways}}
        names = given.only.split(";") if given.only else list(plays)
        told.print_outcomes(persons, scene.refused, [plays[name]() for name in names])


if __name__ == "__main__":
    main()
