"""What people see on a terminal of 80 columns, and programs in a pipe; and how commands answer a slip of the pen."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from ledger.clock import now

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/web"
AT = "2015-05-20T23:00:00Z"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example of the tutorial, taken in, evaluated and told."""
    folder = tmp_path_factory.mktemp("example") / "web"
    shutil.copytree(EXAMPLE, folder)
    for arguments in (("ingest", "web", "access.jsonl"), ("evaluate", "--at", AT, "--commit")):
        done = run(folder, *arguments)
        assert done.returncode == 0, done.stderr
    return folder


def environment(folder: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT), "PATH": "", "LC_ALL": "C.UTF-8", "HOME": str(folder)}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command with its output in pipes."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "tallywatch", *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )


def on_a_terminal(folder: Path, *arguments: str) -> list[str]:
    """The lines that the command shows on a terminal of 80 columns."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-m", "tallywatch", *arguments],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=its,
        stderr=subprocess.PIPE,
    ):
        os.close(its)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 65_536)
            except OSError:  # how Linux tells that nobody writes any more
                break
            if not piece:
                break
            shown += piece
    os.close(ours)
    return shown.decode().splitlines()


LISTS = (
    ("evaluate", "--at", AT),
    ("notices", "list"),
    ("count", "requests", "--period", "2015-05"),
    ("count", "requests", "--period", "2015-05", "--by", "day"),
    ("count", "requests", "--from", "2015-05-20T00:00:00Z", "--to", "2015-05-20T12:00:00Z", "--by", "hour"),
)


@pytest.mark.parametrize("arguments", LISTS, ids=lambda arguments: "-".join(arguments[:2]))
def test_a_table_is_the_same_on_a_terminal_of_80_columns_and_in_a_pipe(
    folder: Path, arguments: tuple[str, ...]
) -> None:
    """So nothing is folded on the one, and nothing padded to another width in the other."""
    piped = run(folder, *arguments).stdout
    lines = piped.splitlines()
    shown = on_a_terminal(folder, *arguments)
    assert lines[0] in shown
    table = [line for line in lines if line.startswith(" ")]
    assert [line for line in shown if line in table] == table
    assert max(map(len, table)) <= 80
    assert [line for line in lines if line != line.rstrip()] == []
    assert not piped.endswith("\n\n")


def test_evaluate_says_above_the_table_what_holds_for_all_and_in_it_what_differs(folder: Path) -> None:
    lines = run(folder, "evaluate", "--at", AT).stdout.splitlines()
    assert lines[:3] == [
        "monthly_limit: billing month 2015-05-01 to 2015-05-31",
        "  as of 2015-05-20T23:00:00+00:00",
        "  approaching above 80% (warning), well_over above 110% (error)",
    ]
    assert lines[3].split() == ["customer", "used", "included", "%", "projected", "state", "why"]
    assert lines[6].split() == ["bolt", "13", "10", "130.00", "20", "error", "well_over"]
    assert lines[-1] == "5 customers: 3 ok, 1 warning, 1 error"


def test_close_shows_the_messages_of_a_view_once_however_many_exports_state_it(folder: Path) -> None:
    lines = run(folder, "close", "2015-05").stdout.splitlines()
    assert [line for line in lines if line.startswith("Messages: ")] == [
        "Messages: counted to 2015-06-01T00:00:00+00:00; the five below the total add up to it, and duplicates are in "
        "none of them"
    ]
    assert [line.split() for line in lines if "unknown" in line] == [["unknown", "147"]]
    assert [line.split()[0] for line in lines if "not closed yet" in line] == ["usage", "billing"]


def test_days_are_crossed_with_customers_and_add_up_to_the_messages_counted(folder: Path) -> None:
    lines = run(folder, "count", "requests", "--period", "2015-05", "--by", "day").stdout.splitlines()
    assert lines[1].split() == ["customer", "05-17", "05-18", "05-19", "05-20", "total"]
    assert [line.split() for line in lines if line.startswith(" bolt")] == [["bolt", "1", "5", "4", "3", "13"]]
    total = lines[-2].split()
    assert total[0] == "total"
    assert sum(map(int, total[1:-1])) == int(total[-1]) == 33 + 147


def test_days_in_json_and_csv_are_a_line_for_each_customer_and_day(folder: Path) -> None:
    count = ("count", "requests", "--period", "2015-05", "--by", "day", "--format")
    bolt = [json.loads(line) for line in run(folder, *count, "json").stdout.splitlines() if '"bolt"' in line]
    assert [(line["start"], line["quantity"]) for line in bolt] == [
        ("2015-05-17T00:00:00+02:00", 1),
        ("2015-05-18T00:00:00+02:00", 5),
        ("2015-05-19T00:00:00+02:00", 4),
        ("2015-05-20T00:00:00+02:00", 3),
    ]
    assert "requests,bolt,2015-05-18T00:00:00+02:00,5,5," in run(folder, *count, "csv").stdout.splitlines()


def test_count_without_a_period_names_the_month_that_it_counted(folder: Path) -> None:
    before = now().strftime("%Y-%m")
    table = run(folder, "count", "requests").stdout.splitlines()[0]
    assert table.startswith("requests: the present billing month, ")
    assert any(month in table for month in (before, now().strftime("%Y-%m")))  # customers' clocks may differ by a day
    counted = run(folder, "count", "requests", "--format", "json")
    assert counted.stderr.startswith("requests: the present billing month, ")
    assert all(json.loads(line)["view"] == "requests" for line in counted.stdout.splitlines())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("evalute",), "there is no command 'evalute' (did you mean evaluate?)"),
        (("notices", "lst"), "there is no command 'lst' (did you mean list?)"),
        (("count", "requests", "--perod", "2015-05"), "--period"),
        (("check", "--config", "x.yaml"), "It stands before the command: tallywatch --config PATH COMMAND."),
        (("count", "request"), "there is no view 'request' (did you mean requests?)"),
        (("ingest", "wed", "access.jsonl"), "there is no store 'wed' (did you mean web?)"),
        (("evaluate", "monthly_limt"), "there is no monitor 'monthly_limt' (did you mean monthly_limit?)"),
        (
            ("preview", "monthly_limt", "--customer", "bolt"),
            "there is no monitor 'monthly_limt' (did you mean monthly_limit?)",
        ),
        (
            ("preview", "monthly_limit", "--customer", "bold"),
            "there is no customer 'bold' on the roster, neither by id nor by alias (did you mean bolt?)",
        ),
        (
            ("notices", "list", "--monitor", "monthly_limt"),
            "there is no monitor 'monthly_limt' (did you mean monthly_limit?)",
        ),
        (
            ("notices", "list", "--customer", "bold"),
            "there is no customer 'bold' on the roster, neither by id nor by alias (did you mean bolt?)",
        ),
        (("close", "2015-05", "--export", "biling"), "there is no export 'biling' (did you mean billing?)"),
        (("export", "2015-05", "--export", "biling"), "there is no export 'biling' (did you mean billing?)"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(folder: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = run(folder, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr


def test_notices_of_somebody_who_was_told_nothing_are_none_and_no_error(folder: Path) -> None:
    done = run(folder, "notices", "list", "--customer", "elm")
    assert (done.returncode, done.stdout) == (0, "no notices\n")


def test_one_of_something_is_not_told_in_the_plural(tmp_path: Path) -> None:
    (tmp_path / "tallywatch.yaml").write_text(
        "stores:\n  web: {type: embedded, folder: events, fields: {time: time, customer: customer}}\n"
        "customers:\n  - {id: a, emails: [a@example.com]}\n  - {id: b}\n"
        "views:\n  calls: {store: web}\n"
        "monitors:\n  limit:\n    view: calls\n    window: month\n    schedule: {every: 15m}\n"
        "    thresholds: {big: {severity: error, max: 9}}\n"
        "    notify: {tell: {when: big, to: customer}}\n"
    )
    (tmp_path / "log.jsonl").write_text('{"time": "2026-10-01T00:00:00Z", "customer": "a"}\n')
    assert "1 of 2 has no email address" in run(tmp_path, "check").stdout
    assert run(tmp_path, "ingest", "web", "log.jsonl").returncode == 0
    assert run(tmp_path, "count", "calls", "--period", "2026-10").stdout.splitlines()[-1].startswith("1 message = ")


def test_pandas_is_imported_for_a_cross_table_alone(folder: Path) -> None:
    def imports(*arguments: str) -> bool:
        program = (
            "import sys, atexit; atexit.register(lambda: sys.stderr.write('pandas' * ('pandas' in sys.modules)))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program + "from tallywatch.cli import run; run()", *arguments],
            cwd=folder,
            env=environment(folder),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr.endswith("pandas")

    assert not imports("--help")
    assert not imports("count", "requests", "--period", "2015-05")
    assert not imports("count", "requests", "--period", "2015-05", "--by", "day", "--format", "json")
    assert imports("count", "requests", "--period", "2015-05", "--by", "day")
