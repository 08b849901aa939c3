"""A configuration in several files."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from config.errors import ConfigError
from config.load import load

STORE = "type: embedded, folder: events, fields: {time: t, customer: c}"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".yaml")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / "main.yaml"


def test_sections_of_included_files_are_joined_by_name(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main=f"include: [stores.yaml, conf.d/*.yaml]\nstores:\n  a: {{{STORE}}}\nsettings: {{zone: UTC}}\n",
        stores=f"stores:\n  b: {{{STORE.replace('events', 'more')}}}\nsettings: {{currency: EUR}}\n",
        conf__d="",
    )
    (tmp_path / "conf.d").mkdir()
    write(
        tmp_path / "conf.d", one="views:\n  v1: {store: a}\n", two="include: ../last.yaml\nviews:\n  v2: {store: b}\n"
    )
    write(tmp_path, last="views: {v3: {store: b}}\n")
    loaded = load(main, {})
    assert sorted(loaded.config.stores) == ["a", "b"]
    assert sorted(loaded.config.views) == ["v1", "v2", "v3"]
    assert (loaded.config.settings.zone, loaded.config.settings.currency) == ("UTC", "EUR")
    assert [path.name for path in loaded.files] == ["main.yaml", "stores.yaml", "one.yaml", "two.yaml", "last.yaml"]


def test_a_path_is_relative_to_the_file_in_which_it_stands(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main="include: sub/part.yaml\nsettings: {database: sqlite:///own.db}\n",
        sub__part=f"stores:\n  a: {{{STORE}}}\ncustomers: {{file: people.csv}}\n"
        "settings: {email: {folder: /mail}}\n",
    )
    (tmp_path / "sub" / "people.csv").write_text("id\nA\n")
    loaded = load(main, {})
    assert loaded.config.stores["a"].folder == tmp_path / "sub" / "events"
    assert loaded.config.settings.email.folder == Path("/mail")
    assert loaded.config.settings.database == f"sqlite:///{tmp_path}/own.db"
    assert list(loaded.roster.customers) == ["A"]
    assert loaded.base == tmp_path


def test_a_pattern_does_not_include_the_file_that_names_it(tmp_path: Path) -> None:
    main = write(tmp_path, main="include: '*.yaml'\n", other="settings: {zone: Europe/Paris}\n")
    assert load(main, {}).config.settings.zone == "Europe/Paris"


def test_a_file_included_twice_is_refused(tmp_path: Path) -> None:
    main = write(tmp_path, main="include: [a.yaml, ./a.yaml]\n", a="settings: {zone: UTC}\n")
    with pytest.raises(ConfigError, match=r"main.yaml:1:19: .*a.yaml is included twice \(remove one of the two\)"):
        load(main, {})


def test_problems_of_several_files_come_together_in_the_order_of_the_files(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main="include: [b.yaml, a.yaml, broken.yaml]\nsettings: {zone: X}\n",
        a="views: {v: {store: s}}\n",
        b="views: {w: {stor: s}}\n",
        broken="views: [\n",
    )
    with pytest.raises(ConfigError) as caught:
        load(main, {})
    places = [(Path(problem.place.file).name, problem.place.line) for problem in caught.value.problems]
    assert places == [("main.yaml", 2), ("b.yaml", 1), ("a.yaml", 1), ("broken.yaml", 2)]


def test_the_database_url_survives_a_folder_with_strange_characters(tmp_path: Path) -> None:
    folder = tmp_path / "a b?c#d%20é"
    folder.mkdir()
    main = write(folder, main="settings: {zone: UTC}\n")
    assert make_url(load(main, {}).config.settings.database).database == str(folder / "tallywatch.db")
