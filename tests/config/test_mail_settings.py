"""The settings of mail: usual values, and a password that nobody gets to see."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.load import load
from config.models import Email

SMTP = """
settings:
  email:
    transport: smtp
    host: smtp.example.com
    username: usage
    sender: Usage <usage@example.com>
"""
PASSWORD = "hunter2 with: yaml, [in it]"


def email(tmp_path: Path, env: dict[str, str], text: str = SMTP) -> Email:
    (tmp_path / "tallywatch.yaml").write_text(text)
    return load(tmp_path / "tallywatch.yaml", env).config.settings.email


def test_mail_goes_over_port_587_and_requires_starttls_unless_something_else_is_said() -> None:
    usual, whole, plain = Email(), Email(tls=True), Email(start_tls=False, port=25)
    assert (usual.server_port, usual.requires_start_tls, usual.encrypted) == (587, True, True)
    assert (whole.server_port, whole.requires_start_tls, whole.encrypted) == (465, False, True)
    assert (plain.server_port, plain.requires_start_tls, plain.encrypted) == (25, False, False)


def test_the_password_comes_from_the_environment_as_it_is_written_there(tmp_path: Path) -> None:
    found = email(tmp_path, {"TALLYWATCH_SETTINGS__EMAIL__PASSWORD": PASSWORD})
    assert found.password is not None
    assert found.password.get_secret_value() == PASSWORD


def test_the_password_comes_from_a_secret_file(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "tallywatch_settings__email__password").write_text(PASSWORD + "\n")
    found = email(tmp_path, {"TALLYWATCH_SECRETS": str(tmp_path / "secrets")})
    assert found.password is not None
    assert found.password.get_secret_value() == PASSWORD


@pytest.mark.parametrize("shown", [repr, str, lambda found: found.model_dump_json(), lambda found: found.model_dump()])
def test_the_password_is_in_no_repr_and_no_dump(tmp_path: Path, shown: object) -> None:
    found = email(tmp_path, {"TALLYWATCH_SETTINGS__EMAIL__PASSWORD": PASSWORD})
    assert callable(shown)
    assert "hunter2" not in str(shown(found))


def test_a_login_in_the_clear_is_accepted_at_this_machine_alone(tmp_path: Path) -> None:
    text = SMTP.replace("smtp.example.com", "localhost") + "    start_tls: false\n"
    assert email(tmp_path, {}, text).username == "usage"
