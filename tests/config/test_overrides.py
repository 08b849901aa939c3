"""Settings and stores from the environment and from secret files."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.load import Loaded, load

TEXT = """\
settings:
  zone: UTC
stores:
  Web-logs:
    type: embedded
    folder: events
    fields: {time: t, customer: c}
"""


@pytest.fixture
def main(tmp_path: Path) -> Path:
    path = tmp_path / "tallywatch.yaml"
    path.write_text(TEXT)
    (tmp_path / "secrets").mkdir()
    return path


def with_env(main: Path, **env: str) -> Loaded:
    return load(main, {f"TALLYWATCH_{name}": value for name, value in env.items()})


def problems(main: Path, **env: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        with_env(main, **env)
    return [str(problem) for problem in caught.value.problems]


def test_a_variable_overrides_a_setting_and_a_store(main: Path) -> None:
    loaded = with_env(
        main,
        SETTINGS__ZONE="Europe/Paris",
        SETTINGS__EMAIL__FOLDER="out",
        settings__currency="EUR",
        STORES__WEB_LOGS__FOLDER="/data",
        STORES__WEB_LOGS__FIELDS__ID="00123",
    )
    assert loaded.config.settings.zone == "Europe/Paris"
    assert loaded.config.settings.currency == "EUR"
    assert loaded.config.settings.email.folder == main.parent / "out"
    assert loaded.config.stores["Web-logs"].folder == Path("/data")
    assert loaded.config.stores["Web-logs"].fields.id == "00123"


def test_several_values_are_written_as_json_or_in_flow_style(main: Path) -> None:
    loaded = with_env(main, STORES__WEB_LOGS__TYPES='{"a.b": "integer"}', SETTINGS__EMAIL="{folder: 1.10}")
    assert loaded.config.stores["Web-logs"].types == {"a.b": "integer"}
    assert loaded.config.settings.email.folder == main.parent / "1.10"


def test_the_environment_beats_a_secret_file_which_beats_yaml(main: Path) -> None:
    secrets = main.parent / "secrets"
    (secrets / "tallywatch_settings__zone").write_text("Europe/Rome\n")
    (secrets / "TALLYWATCH_SETTINGS__CURRENCY").write_text("SEK\n")
    (secrets / "another-programs-secret").write_bytes(b"\xff\x00")
    loaded = with_env(main, SECRETS=str(secrets))
    assert (loaded.config.settings.zone, loaded.config.settings.currency) == ("Europe/Rome", "SEK")
    loaded = with_env(main, SECRETS=str(secrets), SETTINGS__ZONE="Europe/Oslo")
    assert (loaded.config.settings.zone, loaded.config.settings.currency) == ("Europe/Oslo", "SEK")


def test_an_empty_variable_is_none_and_others_are_not_settings(main: Path) -> None:
    loaded = with_env(
        main,
        SETTINGS__ZONE="",
        CONFIG="x",
        TEST_DATABASE__URL="x",
        SERVICE_HOST="10.0.0.1",
        PORT="tcp://10.0.0.1:80",
        PORT_80_TCP_ADDR="10.0.0.1",
    )
    assert loaded.config.settings.zone == "UTC"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("SETTINGS__ZNOE", "did you mean TALLYWATCH_SETTINGS__ZONE?"),
        ("SETTINGS__EMAIL__FODLER", "did you mean TALLYWATCH_SETTINGS__EMAIL__FOLDER?"),
        ("STORES__WEB_LGOS__FOLDER", "did you mean TALLYWATCH_STORES__WEB_LOGS__FOLDER?"),
        ("STORES__WEB_LOGS__FOLDR", "did you mean TALLYWATCH_STORES__WEB_LOGS__FOLDER?"),
        ("SETTING__ZONE", "did you mean TALLYWATCH_SETTINGS__ZONE?"),
        ("SETTINGS_ZONE", "did you mean TALLYWATCH_SETTINGS__ZONE, with two underscores?"),
        ("SETTINGS", "write one key, such as TALLYWATCH_SETTINGS__DATABASE"),
        ("VIEWS__CALLS__STORE", "only settings and stores can be overridden"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_nearest_name(main: Path, name: str, hint: str) -> None:
    assert problems(main, **{name: "x"}) == [f"TALLYWATCH_{name}: is no setting ({hint})"]


def test_a_problem_of_an_overriding_value_names_the_variable(main: Path) -> None:
    assert problems(main, SETTINGS__ZONE="Europe/Romme") == [
        "TALLYWATCH_SETTINGS__ZONE: settings.zone: there is no time zone 'Europe/Romme'; did you mean Europe/Rome?"
    ]
    assert problems(main, SETTINGS__EMAIL="{folder: [}") == [
        "TALLYWATCH_SETTINGS__EMAIL: a value is expected here "
        "(close the [ or { before it, and leave no empty place between commas)"
    ]


def test_a_key_that_is_set_whole_and_in_part_is_refused(main: Path) -> None:
    assert problems(main, SETTINGS__EMAIL="{folder: a}", SETTINGS__EMAIL__FOLDER="b") == [
        "TALLYWATCH_SETTINGS__EMAIL__FOLDER: is set twice (the whole of it comes from TALLYWATCH_SETTINGS__EMAIL)"
    ]
    assert problems(main, SETTINGS__ZONE="UTC", settings__zone="UTC") == [
        "TALLYWATCH_settings__zone: is set twice, in different case (also as TALLYWATCH_SETTINGS__ZONE)"
    ]


def test_a_secret_never_appears_in_a_problem(main: Path) -> None:
    secret = main.parent / "secrets" / "tallywatch_settings__database"
    secret.write_text("mysql://u:hunter2@db/x\n")
    [found] = problems(main, SECRETS=str(secret.parent))
    assert found.startswith(f"{secret}: settings.database: must be SQLite")
    assert "hunter2" not in found
    assert not [text for text in problems(main, SETTINGS__DATABASE="hunter2:!!") if "hunter2" in text]


def test_a_secrets_folder_that_is_not_there_is_told(main: Path) -> None:
    [found] = problems(main, SECRETS="/nowhere/at/all")
    assert found == "TALLYWATCH_SECRETS: /nowhere/at/all is no folder (name the folder of the secret files)"


def test_a_configuration_may_have_its_settings_from_the_environment_alone(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("stores: {}\n")
    assert with_env(path, SETTINGS__EMAIL__FOLDER="m").config.settings.email.folder == tmp_path / "m"
