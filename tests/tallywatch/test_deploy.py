"""The files in deploy/ name what the program has: its commands, options, variables, settings, folders and rooms."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from ruamel.yaml import YAML

from config.load import load
from config.overrides import DEFAULT_SECRETS
from tallywatch.cli import cli
from tallywatch.guard import ROOMS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNIT = (DEPLOY / "tallywatch.service").read_text(encoding="utf-8")
CONTAINER = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
COMPOSE = YAML(typ="safe").load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
STATE = "/var/lib/tallywatch"


def unit(key: str) -> list[str]:
    """The values of a key of the unit, with what systemd would put in."""
    return [value.replace("%S", "/var/lib") for value in re.findall(rf"^{key}=(.*)$", UNIT, re.MULTILINE)]


def variables() -> set[str]:
    """The environment variables that the program reads besides settings."""
    commands = [cli, *(found for name in cli.list_commands(click.Context(cli)) if (found := command(name)))]
    return {
        str(option.envvar)
        for found in commands
        for option in found.params
        if isinstance(option, click.Option) and option.envvar
    } | {"TALLYWATCH_SECRETS"}


def command(name: str) -> click.Command | None:
    return cli.get_command(click.Context(cli), name)


def is_a_command(words: list[str]) -> bool:
    """Whether the program has this command with these options."""
    found = command(words[0])
    return found is not None and set(words[1:]) <= {name for option in found.params for name in option.opts}


def test_the_unit_runs_a_command_that_there_is_as_the_documentation_installs_it() -> None:
    (start,) = unit("ExecStart")
    program, *words = start.split()
    assert is_a_command(words)
    assert f"python3 -m venv {Path(program).parents[1]}" in (DEPLOY / "README.md").read_text(encoding="utf-8")
    assert program in (ROOT / "docs/service.md").read_text(encoding="utf-8")


def test_the_unit_and_the_image_set_variables_that_the_program_reads() -> None:
    known = variables()
    set_by_unit = dict(value.split("=", 1) for value in unit("Environment"))
    set_by_image = dict(re.findall(r"(TALLYWATCH_[A-Z_]+)=(\S+)", CONTAINER))
    assert {*set_by_unit, *set_by_image} <= known
    assert set_by_unit["TALLYWATCH_CONFIG"] == f"{STATE}/tallywatch.yaml"
    assert unit("WorkingDirectory") == [STATE]
    assert unit("StateDirectory") == [Path(STATE).name]
    assert set_by_unit["TALLYWATCH_SECRETS"] == "%d"


def test_the_units_credential_and_the_secrets_of_compose_are_settings(tmp_path: Path) -> None:
    (credential,) = (value.partition(":")[0] for value in unit("LoadCredential"))
    mounted = COMPOSE["services"]["tallywatch"]["secrets"]
    assert credential in mounted
    values = {credential: "hunter2", "tallywatch_settings__database": "postgresql://tallywatch:x@db/tallywatch"}
    assert set(mounted) == set(values)
    (tmp_path / "secrets").mkdir()
    for name, value in values.items():
        (tmp_path / "secrets" / name).write_text(value, encoding="utf-8")
    (tmp_path / "tallywatch.yaml").write_text("settings: {zone: UTC}\n", encoding="utf-8")
    settings = load(tmp_path / "tallywatch.yaml", {"TALLYWATCH_SECRETS": str(tmp_path / "secrets")}).config.settings
    assert settings.email.password is not None
    assert settings.email.password.get_secret_value() == "hunter2"
    assert settings.database == values["tallywatch_settings__database"]
    assert Path("/run/secrets") == DEFAULT_SECRETS  # where compose puts them
    defined = COMPOSE["secrets"]
    used = {name for service in COMPOSE["services"].values() for name in service["secrets"]}
    assert used == set(defined)
    for name, secret in defined.items():
        assert secret["file"] == f"secrets/{name}"


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd here")
    path = tmp_path / "tallywatch.service"
    path.write_text(UNIT.replace("/opt/tallywatch/bin/tallywatch", sys.executable), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "tallywatch" in line] == []
    assert done.returncode == 0, done.stderr


def test_the_service_is_not_started_again_with_a_broken_configuration(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tallywatch", "run"],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=False,
    )  # fmt: skip
    assert unit("RestartPreventExitStatus") == [str(done.returncode)]


def test_the_image_copies_every_room_and_what_the_build_needs() -> None:
    copied = {
        word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", CONTAINER, re.MULTILINE) for word in line.split()
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    packages = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert copied == {*ROOMS, "tallywatch", *needed}
    assert packages == {*ROOMS, "tallywatch"}


def test_the_image_is_of_a_python_that_the_program_accepts() -> None:
    versions = re.findall(r"python:(\d+)\.(\d+)-slim", CONTAINER)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    least = re.fullmatch(r">=(\d+)\.(\d+)", project["project"]["requires-python"])
    assert least is not None
    assert len(versions) == 2
    assert all((int(major), int(minor)) >= (int(least[1]), int(least[2])) for major, minor in versions)


def test_the_image_runs_the_service_as_nobody_special_in_its_volume_and_asks_whether_it_lives() -> None:
    entry, arguments = (
        json.loads(found) for found in re.findall(r"^(?:ENTRYPOINT|CMD) (\[.*\])$", CONTAINER, re.MULTILINE)
    )
    assert entry == ["tallywatch"]
    assert is_a_command(arguments)
    (health,) = re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", CONTAINER, re.MULTILINE)
    program, *words = json.loads(health)
    assert program == "tallywatch"
    assert is_a_command(words)
    (volume,) = re.findall(r"^VOLUME (\S+)$", CONTAINER, re.MULTILINE)
    assert re.findall(r"^WORKDIR (\S+)$", CONTAINER, re.MULTILINE)[-1] == volume
    assert f"TALLYWATCH_CONFIG={volume}/tallywatch.yaml" in CONTAINER
    assert f"./data:{volume}" in COMPOSE["services"]["tallywatch"]["volumes"]
    assert re.findall(r"^USER (\d+):", CONTAINER, re.MULTILINE) == ["10001"]


def test_compose_builds_the_image_from_the_checkout() -> None:
    build = COMPOSE["services"]["tallywatch"]["build"]
    context = (DEPLOY / build["context"]).resolve()
    assert context == ROOT
    assert context / build["dockerfile"] == DEPLOY / "Containerfile"
    database = COMPOSE["services"]["db"]
    assert int(database["image"].rpartition(":")[2]) >= 14
