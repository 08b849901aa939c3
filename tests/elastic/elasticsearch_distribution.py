"""What a real Elasticsearch for tests needs: a Java, the server's archive, and a user that it may run as."""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

VERSION = "9.2.8"
OLDEST_JAVA = 21
_SHA1 = "46dc08be208116a375ebcd4168cacac106a8f88c"
_ARTIFACT = f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{VERSION}:zip"
_ADDRESS = (
    "https://repo.maven.apache.org/maven2/org/elasticsearch/distribution/integ-test-zip/elasticsearch/"
    f"{VERSION}/elasticsearch-{VERSION}.zip"
)


class NoServer(Exception):  # noqa: N818 (a reason to leave tests out, not a failure by itself)
    """Why a real Elasticsearch cannot be had here, in a sentence."""


@dataclass(frozen=True)
class Distribution:
    """An unpacked server in `folder`, which belongs to the user that it will run as.

    `user` is None where we are not root and it runs as ourselves.
    """

    folder: Path
    java: Path
    user: pwd.struct_passwd | None

    @property
    def home(self) -> Path:
        """Where its `bin` is."""
        return self.folder / f"elasticsearch-{VERSION}"

    def give(self, path: Path) -> None:
        """Hands a file or folder, with all that is in it, to the server's user."""
        if self.user is not None:
            for found in (path, *path.rglob("*")):
                os.chown(found, self.user.pw_uid, self.user.pw_gid)


def unpacked() -> Distribution:
    """A server ready to be configured, in a new temporary folder; about 2 s, and a download of 100 MB the first time.

    Raises:
        NoServer: with the reason.
    """
    java, archive, user = find_java(), _archive(), _user()
    folder = Path(tempfile.mkdtemp(prefix="tallywatch-elasticsearch-", dir=None if user is None else _open_to(user)))
    try:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
        for program in (folder / f"elasticsearch-{VERSION}" / "bin").iterdir():
            program.chmod(0o755)
        if user is not None and not _may_enter(java, user):
            java = Path(shutil.copytree(java, folder / "java", symlinks=True))
        found = Distribution(folder, java, user)
        found.give(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return found


def find_java() -> Path:
    """The home of a Java that is new enough.

    Raises:
        NoServer: where there is none.
    """
    for home in _java_homes():
        if (home / "bin" / "java").is_file() and _java_version(home) >= OLDEST_JAVA:
            return home
    raise NoServer(f"no Java {OLDEST_JAVA} or newer: none in ES_JAVA_HOME, JAVA_HOME, the path or /usr/lib/jvm")


def _java_homes() -> Iterator[Path]:
    yield from (Path(found) for name in ("ES_JAVA_HOME", "JAVA_HOME") if (found := os.environ.get(name)))
    if found := shutil.which("java"):
        yield Path(found).resolve().parents[1]
    yield from sorted(Path("/usr/lib/jvm").glob("*"), reverse=True)


def _java_version(home: Path) -> int:
    asked = subprocess.run([home / "bin" / "java", "-version"], check=False, capture_output=True, text=True)
    found = re.search(r'version "(\d+)', asked.stderr)
    return int(found[1]) if asked.returncode == 0 and found else 0


def _archive() -> Path:
    """The server's zip, in the cache; fetched where it is not there yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tallywatch-tests"
    wanted = cache / f"elasticsearch-{VERSION}.zip"
    if wanted.is_file() and _is_whole(wanted):
        return wanted
    cache.mkdir(parents=True, exist_ok=True)
    reasons = []
    with tempfile.TemporaryDirectory(dir=cache) as fresh:
        for fetch in (_fetch_by_maven, _fetch_by_address):
            try:
                found = fetch(Path(fresh))
            except (OSError, subprocess.SubprocessError) as error:
                reasons.append(f"{fetch.__name__.removeprefix('_fetch_')}: {error}")
                continue
            if found.is_file() and _is_whole(found):
                return found.replace(wanted)
            reasons.append(f"{fetch.__name__.removeprefix('_fetch_')}: not the archive that was asked for")
    raise NoServer(f"the archive of Elasticsearch {VERSION} could not be fetched ({'; '.join(reasons)})")


def _fetch_by_maven(folder: Path) -> Path:
    command = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={_ARTIFACT}", f"-DoutputDirectory={folder}"]
    subprocess.run(command, check=True, capture_output=True, timeout=600, cwd=folder)
    return folder / f"elasticsearch-{VERSION}.zip"


def _fetch_by_address(folder: Path) -> Path:
    target = folder / "downloaded.zip"
    with urllib.request.urlopen(_ADDRESS, timeout=60) as answer, target.open("wb") as file:
        shutil.copyfileobj(answer, file)
    return target


def _is_whole(archive: Path) -> bool:
    with archive.open("rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest() == _SHA1  # the one that the repository itself publishes


def _user() -> pwd.struct_passwd | None:
    """Whom the server runs as: Elasticsearch refuses to run as root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise NoServer("Elasticsearch does not run as root, and there is no user `nobody` to run it as") from None


def _open_to(user: pwd.struct_passwd) -> str:
    """A folder for temporary files that this user can reach."""
    for folder in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        if _may_enter(Path(folder), user):
            return folder
    raise NoServer("no folder for temporary files is open to the user `nobody`")


def _may_enter(folder: Path, user: pwd.struct_passwd) -> bool:
    """Whether another user can pass through a folder and all those above it."""
    return all(
        step.stat().st_mode & 0o001 or step.stat().st_uid == user.pw_uid
        for step in (folder.resolve(), *folder.resolve().parents)
    )


if __name__ == "__main__":
    try:
        print(find_java())
    except NoServer as reason:
        raise SystemExit(str(reason)) from None
