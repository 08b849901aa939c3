"""`tallywatch init`, `check` and `schema`, and the pages that are generated from the models."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from config import reference
from config.load import load
from config.schema import schema

ROOT = Path(__file__).parents[2]


def tallywatch(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tallywatch", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_init_writes_passes_check(tmp_path: Path) -> None:
    made = tallywatch("init", "new/folder", folder=tmp_path)
    assert (made.returncode, made.stderr) == (0, "")
    assert "wrote new/folder/tallywatch.yaml" in made.stdout
    checked = tallywatch("--config", "new/folder/tallywatch.yaml", "check", folder=tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")
    counts = "1 store, 1 view, 1 monitor, 1 export, 0 tiers, every customer value found is a customer"
    assert checked.stdout.endswith(f"tallywatch.yaml: {counts}\n")
    assert sorted(path.name for path in (tmp_path / "new/folder").iterdir()) == [
        "tallywatch.schema.json",
        "tallywatch.yaml",
    ]


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "tallywatch.schema.json").write_text("mine")
    refused = tallywatch("init", folder=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr == "tallywatch.schema.json exists already; name another folder, or move it away\n"
    assert [path.name for path in tmp_path.iterdir()] == ["tallywatch.schema.json"]
    assert (tmp_path / "tallywatch.schema.json").read_text() == "mine"


def test_init_into_a_file_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = tallywatch("init", "file", folder=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr == "file is a file; name a folder\n"


def test_check_tells_every_problem_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "tallywatch.yaml").write_text("settings: {zone: Mars}\nviews: {v: {store: s}}\n")
    checked = tallywatch("check", folder=tmp_path)
    assert (checked.returncode, checked.stdout) == (2, "")
    assert checked.stderr.splitlines() == [
        "tallywatch.yaml:1:18: settings.zone: there is no time zone 'Mars'; use an IANA name, such as Europe/Stockholm",
        "tallywatch.yaml:2:20: views.v.store: there is no store 's' (the configuration has no stores)",
    ]


def test_check_counts_customers_and_notes_those_who_cannot_be_told(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text("id,emails\nA,a@example.com\nB,\n")
    (tmp_path / "tallywatch.yaml").write_text(
        "stores: {s: {type: embedded, folder: e, fields: {time: t, customer: c}}}\n"
        "customers: {file: customers.csv}\n"
        "views: {v: {store: s}}\n"
        "monitors:\n  m:\n    view: v\n    window: month\n    schedule: {every: 15m}\n"
        "    thresholds: {high: {severity: error, max: 5}}\n"
        "    notify: {tell: {when: high, to: customer}}\n"
    )
    checked = tallywatch("check", folder=tmp_path)
    assert checked.returncode == 0
    assert ": 1 store, 1 view, 1 monitor, 0 exports, 0 tiers, 2 customers\n" in checked.stdout
    assert "note: monitor m tells customers, and 1 of 2 has no email address\n" in checked.stdout


def test_check_notes_what_a_store_may_miss(tmp_path: Path) -> None:
    (tmp_path / "tallywatch.yaml").write_text(
        "stores: {s: {type: elasticsearch, hosts: https://localhost:9200, index: a, fields: {time: t, customer: c}}}\n"
    )
    checked = tallywatch("check", folder=tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.splitlines()[1:] == [
        "note: store s has neither fields.ingested nor a lateness: what arrives late would never be noticed, and "
        "missing in what was counted before"
    ]


@pytest.mark.parametrize("example", sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir()))
def test_an_example_passes_check(example: str) -> None:
    checked = tallywatch("check", folder=ROOT / "examples" / example)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "tallywatch.yaml and 1 more file: 1 store" in checked.stdout


def test_the_optional_part_of_the_starting_configuration_works_too(tmp_path: Path) -> None:
    text = (ROOT / "config" / "starting.yaml").read_text()
    before, _, after = text.partition("# customers:\n")
    uncommented = "".join(
        line.removeprefix("# ") if line != "#\n" else "\n" for line in after.splitlines(keepends=True)
    )
    text = before + "customers:\n" + uncommented
    text = text.replace("    count: messages", "    meter: calls\n    count: messages").replace(
        "max: 100_000", "max: 90%"
    )
    header, row = (line.removeprefix("#").strip() for line in before.splitlines() if line.startswith("#   "))
    (tmp_path / "customers.csv").write_text(f"{header}\n{row}\n")
    (tmp_path / "tallywatch.yaml").write_text(text)
    loaded = load(tmp_path / "tallywatch.yaml", {})
    assert loaded.roster.customers["C-1"].emails == ("it@example.com", "cfo@example.com")
    assert sorted(loaded.config.tiers) == ["basic", "pro"]


def test_the_schema_names_every_key_of_the_reference() -> None:
    document = schema()

    def known(path: str) -> bool:
        parts: list[dict[str, object]] = [document]
        for part in path.replace("[]", ".[]").split("."):
            parts = [inner for parent in parts for inner in inside(parent, part)]
        return bool(parts)

    def inside(parent: dict[str, object], part: str) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        for alternative in expanded(parent):
            properties = alternative.get("properties")
            if part == "[]" and isinstance(alternative.get("items"), dict):
                found.append(alternative["items"])  # type: ignore[arg-type]  # asserted by the line above
            elif part == "NAME":
                found += [
                    inner
                    for container in (
                        alternative.get("additionalProperties"),
                        *named(alternative.get("patternProperties")),
                    )
                    if isinstance(container, dict)
                    for inner in [container]
                ]
            elif isinstance(properties, dict) and part in properties:
                found.append(properties[part])
        return found

    def named(container: object) -> list[object]:
        return list(container.values()) if isinstance(container, dict) else []

    def expanded(part: dict[str, object]) -> list[dict[str, object]]:
        if "$ref" in part:
            return expanded(document["$defs"][str(part["$ref"]).rsplit("/", 1)[-1]])
        alternatives = [*part.get("anyOf", []), *part.get("oneOf", [])]  # type: ignore[misc]  # lists in every JSON Schema
        return [part, *(inner for alternative in alternatives for inner in expanded(alternative))]

    assert [key.path for key in reference.every_key() if not known(key.path)] == []
    assert not known("settings.zoen")


def test_the_schema_of_a_store_is_that_of_the_kind_that_its_type_names() -> None:
    document = schema()
    [stores] = document["properties"]["stores"]["patternProperties"].values()
    kinds = [document["$defs"][str(kind["$ref"]).rsplit("/", 1)[-1]] for kind in stores["oneOf"]]
    assert [kind["properties"]["type"]["const"] for kind in kinds] == ["embedded", "elasticsearch"]
    assert all("type" in kind["required"] and kind["additionalProperties"] is False for kind in kinds)
    embedded, elasticsearch = kinds
    assert {"folder", "read"} <= embedded["properties"].keys() - elasticsearch["properties"].keys()
    assert {"hosts", "api_key"} <= elasticsearch["properties"].keys() - embedded["properties"].keys()
    assert elasticsearch["required"] == ["type", "hosts", "index", "fields"]


def test_the_schema_is_printed_as_json(tmp_path: Path) -> None:
    printed = tallywatch("schema", folder=tmp_path)
    assert printed.returncode == 0
    assert json.loads(printed.stdout) == json.loads(json.dumps(schema()))


def test_every_key_is_described() -> None:
    assert [key.path for key in reference.every_key() if not key.description] == []


def test_the_configuration_reference_is_in_step_with_the_models() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == reference.page()


def test_the_reference_says_which_kind_of_store_a_key_belongs_to() -> None:
    meanings: dict[str, list[str]] = {}
    for key in reference.every_key():
        meanings.setdefault(key.path, []).append(key.description)
    assert [text.split(":")[0] for text in meanings["stores.NAME.folder"]] == ["`embedded` only"]
    assert [text.split(":")[0] for text in meanings["stores.NAME.hosts"]] == ["`elasticsearch` only"]
    assert [text.split(":")[0] for text in meanings["stores.NAME.fields.id"]] == [
        "`embedded` only",
        "`elasticsearch` only",
    ]
    assert meanings["stores.NAME.lateness"] == ["how late a message may still arrive"]
    [kinds] = [key.type for key in reference.every_key() if key.path == "stores.NAME.type"]
    assert kinds == "`embedded`, `elasticsearch`"


@pytest.mark.parametrize("name", ["settings.database", "stores.NAME.fields.customer", "customers[].until", "include"])
def test_the_reference_has_keys_of_every_depth(name: str) -> None:
    assert name in {key.path for key in reference.every_key()}
