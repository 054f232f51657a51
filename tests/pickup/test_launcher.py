"""What the launcher promises before there is a database; one test at the end runs real servers."""

from __future__ import annotations

import argparse
import errno
import io
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from cryptography.fernet import Fernet
from psycopg.conninfo import conninfo_to_dict

from pickup.config.launcher import (
    apt,
    browser,
    checks,
    commands,
    environment,
    home,
    pip_wheel,
    postgres,
    processes,
    programs,
    redis,
)
from pickup.config.launcher.apt import Apt, Package
from pickup.config.launcher.commands import Address
from pickup.config.launcher.console import CannotGoOn, say
from pickup.config.launcher.home import Home, Owner
from pickup.config.launcher.pip_wheel import IndexSettings
from pickup.config.launcher.postgres import Postgres
from pickup.config.launcher.processes import Child, Children
from pickup.config.launcher.programs import Programs
from pickup.config.launcher.servers import Keeper, Servers
from tests.leftovers import none_left

ME = Owner(os.geteuid(), os.getegid())


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setattr(home, "ROOM_FOR_SERVERS", tmp_path / "room")
    place = Home(tmp_path / "home")
    place.make()
    yield place
    with suppress(OSError):  # not every test makes one
        Path((place.root / "sockets").read_text()).rmdir()


# Addresses and arguments


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("127.0.0.1:8000", "127.0.0.1", 8000), ("[::1]:80", "::1", 80), ("shop.local:9", "shop.local", 9)],
)
def test_an_address_is_a_host_and_a_port(text: str, host: str, port: int) -> None:
    assert Address.parse(text) == Address(host, port)


@pytest.mark.parametrize(
    "text", ["8000", ":8000", "localhost", "localhost:", "localhost:0", "localhost:65536", "a:８０"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        Address.parse(text)


def test_an_address_is_shown_as_a_browser_takes_it() -> None:
    assert str(Address("::1", 8000)) == "http://[::1]:8000"


@pytest.mark.parametrize(("host", "visited"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.0.0.7", "10.0.0.7")])
def test_an_address_that_means_every_interface_is_visited_on_this_machine(host: str, visited: str) -> None:
    assert Address(host, 8000).reachable == Address(visited, 8000)


@pytest.mark.parametrize(
    ("host", "added"),
    [("127.0.0.1", []), ("::1", []), ("0.0.0.0", []), ("shop.lan", ["shop.lan"]), ("fd00::7", ["[fd00::7]"])],
)
def test_requests_may_ask_for_the_host_that_is_listened_on(host: str, added: list[str]) -> None:
    assert commands.hosts(Address(host, 8000)) == ["localhost", "127.0.0.1", "[::1]", *added]


def test_up_serves_the_demo_on_this_machine_only_unless_told_otherwise() -> None:
    options = commands.parser().parse_args(["up"])
    assert (options.bind, options.demo, options.services) == (Address("127.0.0.1", 8000), True, False)


def test_up_takes_its_options() -> None:
    options = commands.parser().parse_args(["up", "--bind", "0.0.0.0:80", "--no-demo", "--services"])
    assert (options.bind, options.demo, options.services) == (Address("0.0.0.0", 80), False, True)


def test_a_taken_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(CannotGoOn, match="--bind"):
        commands.refuse_taken(Address("127.0.0.1", taken.getsockname()[1]))


def test_a_reason_not_to_go_on_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> int:
        raise CannotGoOn("no room left")

    monkeypatch.setattr(commands, "down", refuse)
    assert commands.main(["down"]) == 1
    assert capsys.readouterr().err == "Cannot go on: no room left\n"


class ClosedTerminal(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.EIO, text)


def test_a_closed_terminal_does_not_keep_us_from_going_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", ClosedTerminal())
    say("Stopping …")


def test_down_where_nothing_was_ever_started_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICKUP_HOME", str(tmp_path / "absent"))
    assert commands.main(["down"]) == 0
    assert not (tmp_path / "absent").exists()


# Secrets


def test_secrets_are_readable_by_their_owner_only(own: Home) -> None:
    assert stat.S_IMODE(own.make_secrets().stat().st_mode) == 0o600


def test_secrets_are_made_once(own: Home) -> None:
    before = own.make_secrets().read_bytes()
    assert own.make_secrets().read_bytes() == before


def test_secrets_hold_keys_of_the_right_sizes(own: Home) -> None:
    made = json.loads(own.make_secrets().read_text())
    assert len(b64decode(made["code_key"])) == 32
    assert len(b64decode(made["signing_keys"]["1"])) == 32
    assert [Fernet(key) for key in made["field_keys"]]
    assert len(made["django_secret_key"]) >= 50


def test_no_two_installations_share_a_key() -> None:
    assert not set(map(str, home.new_secrets().values())) & set(map(str, home.new_secrets().values()))


# Sockets and URLs


def test_the_database_url_names_the_socket_folder() -> None:
    url = postgres.url(Path("/tmp/pickup-1"))
    assert url == "postgresql://pickup@/pickup?host=/tmp/pickup-1"
    assert conninfo_to_dict(url) == {"user": "pickup", "dbname": "pickup", "host": "/tmp/pickup-1"}


def test_a_folder_with_odd_characters_survives_the_database_url() -> None:
    assert conninfo_to_dict(postgres.url(Path("/tmp/a b&c=%")))["host"] == "/tmp/a b&c=%"


def test_the_broker_url_names_the_socket() -> None:
    assert redis.url(Path("/tmp/pickup-1")) == "redis+socket:///tmp/pickup-1/redis.sock?virtual_host=0"


def test_the_socket_folder_is_the_owners_alone_and_short_enough_for_a_socket(own: Home) -> None:
    folder = own.socket_folder(ME)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(os.fsencode(f"{folder}/.s.PGSQL.5432.lock")) <= home.LONGEST_SOCKET_PATH


def test_a_long_temporary_folder_is_not_used_for_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/tmp/" + "x" * 90)
    assert home.short_temporary_folder() == Path("/tmp")


def test_the_socket_folder_stays_the_same_and_comes_back_after_a_reboot(own: Home) -> None:
    folder = own.socket_folder(ME)
    folder.rmdir()
    assert own.socket_folder(ME) == folder
    assert folder.is_dir()


def test_a_socket_folder_that_others_may_enter_is_not_used_again(own: Home) -> None:
    folder = own.socket_folder(ME)
    folder.chmod(0o755)
    assert own.socket_folder(ME) != folder
    folder.rmdir()


# Packages


PLAN = """\
Inst libc6 [2.36-9] (2.36-9+deb12u13 Debian-Security:12/stable-security [amd64]) []
Inst proj-data (9.1.1-1 Debian:12.5/oldstable [all])
Inst libgdal32:amd64 (3.6.2+dfsg-1+b2 Debian:12.5/oldstable [amd64]) [libgdal32:amd64 ]
Inst perl-modules-5.36 (5.36.0-7 Debian:12.5/oldstable [all])
Conf proj-data (9.1.1-1 Debian:12.5/oldstable [all])
"""


def test_a_plan_of_apt_is_read_as_packages_with_versions() -> None:
    pins = [package.pin for package in apt.parse_plan(PLAN)]
    assert pins == [
        "libc6:amd64=2.36-9+deb12u13",
        "proj-data=9.1.1-1",
        "libgdal32:amd64=3.6.2+dfsg-1+b2",
        "perl-modules-5.36=5.36.0-7",
    ]


def test_the_c_library_and_what_never_runs_are_left_out() -> None:
    kept = apt.needed(apt.parse_plan(PLAN), libc=(2, 36))
    assert [package.name for package in kept] == ["proj-data", "libgdal32:amd64"]


def test_packages_made_for_a_newer_c_library_are_refused() -> None:
    with pytest.raises(CannotGoOn, match="newer than this system's"):
        apt.needed([Package("libc6", "2.41-12", "amd64")], libc=(2, 36))


def test_packages_made_for_an_older_c_library_are_taken() -> None:
    assert apt.needed([Package("libc6", "2.9-1", "amd64")], libc=(2, 36)) == []


def test_apt_is_told_that_forgotten_packages_are_not_installed() -> None:
    status = "Package: postgresql-15\nStatus: install ok installed\n\nPackage: libpq5\nDepends: postgresql-15\n"
    assert apt.without_packages(status, programs.SERVER_PACKAGES).split() == [
        "Package:",
        "libpq5",
        "Depends:",
        "postgresql-15",
    ]


def test_unreadable_package_lists_are_told_as_what_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offline = subprocess.CompletedProcess([], 100, stdout="", stderr="E: Temporary failure resolving 'mirror'")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: offline)
    with pytest.raises(CannotGoOn, match="Temporary failure"):
        Apt(tmp_path / "apt", forget=re.compile("x")).prepare()
    assert not (tmp_path / "apt").exists()


def test_apt_works_in_a_folder_of_ours(tmp_path: Path) -> None:
    command = Apt(tmp_path, forget=re.compile("x")).command("apt-get", "update")
    assert {f"Dir::State={tmp_path}/state", f"Dir::Cache={tmp_path}/cache"} <= set(command)
    assert command[-1] == "update"


@pytest.mark.parametrize(("major", "chosen"), [(None, "17"), (15, "15")])
def test_the_newest_postgres_is_chosen_unless_the_data_need_another(major: int | None, chosen: str) -> None:
    names = [
        "postgresql-9-postgis-3",
        "postgresql-15-postgis-3",
        "postgresql-17-postgis-3",
        "postgresql-18-postgis-3-scripts",
    ]
    assert programs.choose_postgres(names, major) == [f"postgresql-{chosen}", f"postgresql-{chosen}-postgis-3"]


@pytest.mark.parametrize(
    ("names", "major"), [([], None), (["postgresql-14-postgis-3"], None), (["postgresql-17-postgis-3"], 15)]
)
def test_a_distribution_without_a_usable_postgres_is_named_with_the_remedy(names: list[str], major: int | None) -> None:
    with pytest.raises(CannotGoOn, match="DATABASE_URL"):
        programs.choose_postgres(names, major)


def test_an_unpack_gets_the_links_that_an_installation_would_make(tmp_path: Path) -> None:
    folder = tmp_path / "usr/share/postgresql/15/extension"
    folder.mkdir(parents=True)
    (folder / "postgis-3.control").write_text("relocatable = false")
    apt.finish_alternatives(tmp_path)
    assert (folder / "postgis.control").read_text() == "relocatable = false"


def test_libraries_in_folders_beside_the_usual_one_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sysconfig.get_config_var", lambda _: "x86_64-linux-gnu")
    libraries = tmp_path / "usr" / "lib"
    usual = libraries / "x86_64-linux-gnu"
    (usual / "blas").mkdir(parents=True)
    (usual / "blas/libblas.so.3").touch()
    (usual / "perl").mkdir()
    assert apt.folders_of_libraries(tmp_path) == [usual, libraries, usual / "blas"]


# Programs


def install_postgres(root: Path, major: int, *, postgis: bool = True) -> Path:
    executables = root / f"usr/lib/postgresql/{major}/bin"
    extensions = root / f"usr/share/postgresql/{major}/extension"
    executables.mkdir(parents=True)
    extensions.mkdir(parents=True)
    (executables / "postgres").touch()
    (executables / "initdb").touch()
    if postgis:
        (extensions / "postgis.control").touch()
    return executables


def test_the_newest_installed_postgres_is_found(tmp_path: Path) -> None:
    install_postgres(tmp_path, 15)
    newest = install_postgres(tmp_path, 17)
    assert programs.find_postgres(tmp_path, None) == newest


def test_data_are_opened_with_the_postgres_that_wrote_them(tmp_path: Path) -> None:
    older = install_postgres(tmp_path, 15)
    install_postgres(tmp_path, 17)
    assert programs.find_postgres(tmp_path, 15) == older
    assert programs.find_postgres(tmp_path, 16) is None


def test_a_postgres_without_postgis_does_not_count(tmp_path: Path) -> None:
    install_postgres(tmp_path, 17, postgis=False)
    assert programs.find_postgres(tmp_path, None) is None


def test_a_postgres_that_is_too_old_does_not_count(tmp_path: Path) -> None:
    install_postgres(tmp_path, 14)
    assert programs.find_postgres(tmp_path, None) is None


def test_only_the_servers_that_nobody_named_are_ours(own: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/pickup")
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
    assert Servers.from_environment(own).urls().keys() == {"CELERY_BROKER_URL"}


def test_with_both_servers_named_nothing_is_started(own: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/pickup")
    monkeypatch.setenv("CELERY_BROKER_URL", "amqp://elsewhere")
    with Servers.from_environment(own).used() as started:
        assert not started
    assert not (own.root / "servers.lock").exists()


def test_web_server_and_worker_log_in_as_themselves_on_our_own_server(
    own: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = Servers(own)
    monkeypatch.setenv("DATABASE_URL", postgres.url(servers.sockets))
    for part in ("web", "worker"):
        monkeypatch.delenv(f"DATABASE_{part.upper()}_URL", raising=False)
        assert servers.runtime(part) == {"DATABASE_URL": postgres.url(servers.sockets, f"pickup_{part}")}
    assert os.environ["DATABASE_URL"] == postgres.url(servers.sockets), "commands go on as the owner"


def test_logins_that_were_named_win(own: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://owner@db/pickup")
    monkeypatch.setenv("DATABASE_WEB_URL", "postgresql://web@db/pickup")
    assert Servers(own, database=False).runtime("web") == {"DATABASE_URL": "postgresql://web@db/pickup"}


@pytest.mark.parametrize(("may", "variables"), [(True, {"DATABASE_ROLE": "pickup_web"}), (False, {})])
def test_elsewhere_the_owners_login_takes_the_role_if_it_may(
    own: Home, monkeypatch: pytest.MonkeyPatch, may: bool, variables: dict[str, str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://owner@db/pickup")
    monkeypatch.delenv("DATABASE_WEB_URL", raising=False)
    monkeypatch.setattr(postgres, "may_become", lambda url, role: may)
    assert Servers(own, database=False).runtime("web") == variables


@pytest.mark.parametrize(("gibibytes", "mebibytes"), [(0.25, 128), (2, 512), (64, 1024)])
def test_postgres_gets_a_quarter_of_the_memory_within_bounds(gibibytes: float, mebibytes: int) -> None:
    assert postgres.shared_buffers_mib(int(gibibytes * 2**30)) == mebibytes


# Processes


@pytest.fixture
def cluster(tmp_path: Path) -> Postgres:
    server = Postgres(tmp_path / "postgres", tmp_path / "sockets", ME, lambda: Programs(Path("/nowhere")))
    server.data.mkdir(parents=True)
    server.sockets.mkdir()
    return server


def test_a_postgres_that_cannot_be_found_is_an_error_before_anything_is_made(tmp_path: Path) -> None:
    def fail() -> Programs:
        raise CannotGoOn("no PostgreSQL here")

    server = Postgres(tmp_path / "postgres", tmp_path / "sockets", ME, fail)
    with pytest.raises(CannotGoOn, match="no PostgreSQL here"):
        server.start()
    assert not server.folder.exists()


def test_a_pid_file_with_another_programs_number_is_voided(cluster: Postgres) -> None:
    cluster.pid_file.write_text(f"{os.getpid()}\n{cluster.data}\nshared memory key\n")
    cluster.void_stale_pid_files()
    assert cluster.pid_file.read_text() == f"{postgres.NO_PROCESS}\n{cluster.data}\nshared memory key\n"


def test_the_pid_file_of_a_running_server_is_left_alone(cluster: Postgres) -> None:
    command = [sys.executable, "-c", "print(flush=True); input()", "-D", str(cluster.data)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout
        running.stdout.readline()  # before it runs, the system may not show its arguments
        cluster.pid_file.write_text(f"{running.pid}\n")
        cluster.void_stale_pid_files()
        assert cluster.is_running()
        assert cluster.pid_file.read_text() == f"{running.pid}\n"
        running.kill()


def test_a_pid_file_of_a_dead_process_is_left_to_postgres(cluster: Postgres) -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    cluster.pid_file.write_text(f"{gone.pid}\n")
    cluster.void_stale_pid_files()
    assert not cluster.is_running()
    assert cluster.pid_file.read_text() == f"{gone.pid}\n"


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)


def test_what_a_killed_run_left_behind_is_ended(tmp_path: Path) -> None:
    record = tmp_path / "children.json"
    with sleeper() as orphan:
        record.write_text(json.dumps({str(orphan.pid): processes.birth(orphan.pid)}))
        processes.end_orphans(record)
        assert orphan.wait(5) == -signal.SIGTERM
    assert not record.exists()


def test_a_program_that_got_the_number_of_a_former_child_is_spared(tmp_path: Path) -> None:
    record = tmp_path / "children.json"
    with sleeper() as other:
        record.write_text(json.dumps({str(other.pid): "another time of birth"}))
        processes.end_orphans(record)
        assert other.poll() is None
        other.kill()


def child(tmp_path: Path, code: str) -> Child:
    return Child("worker", [sys.executable, "-c", code], tmp_path / "worker.log")


def wait_for_end(one: Child) -> None:
    assert one.process is not None
    one.process.wait(10)


def test_a_child_that_dies_is_started_again_after_a_pause_that_doubles(tmp_path: Path) -> None:
    one = child(tmp_path, "")
    pauses = []
    for now in (0.0, 10.0, 20.0):
        one.start()
        wait_for_end(one)
        one.plan_restart(now)
        assert one.restart_at is not None
        pauses.append(one.restart_at - now)
    assert pauses == [1, 2, 4]


def test_a_child_that_died_long_ago_is_forgiven(tmp_path: Path) -> None:
    one = child(tmp_path, "")
    one.deaths = [0.0] * processes.DEATHS_AT_MOST
    one.start()
    wait_for_end(one)
    one.plan_restart(processes.DEATHS_WINDOW_S + 1.0)
    assert len(one.deaths) == 1


def test_a_child_that_keeps_dying_ends_everything_and_shows_why(tmp_path: Path) -> None:
    one = child(tmp_path, "print('no such table')")
    one.deaths = [1.0] * processes.DEATHS_AT_MOST
    one.start()
    wait_for_end(one)
    with pytest.raises(CannotGoOn, match="no such table"):
        one.plan_restart(2.0)


def test_a_child_that_ran_once_is_started_again_for_ever(tmp_path: Path) -> None:
    one = child(tmp_path, "")
    one.deaths = [1.0] * processes.DEATHS_AT_MOST
    one.start()
    wait_for_end(one)
    one.plan_restart(2.0, forever=True)
    assert one.restart_at == 2.0 + processes.LONGEST_PAUSE_S


def watched(tmp_path: Path) -> Child:
    return Child(
        "worker", [sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "log", alive=tmp_path / "alive"
    )


def test_a_child_that_is_alive_and_silent_is_ended_and_started_again(tmp_path: Path) -> None:
    children = Children(tmp_path / "children.json")
    one = watched(tmp_path)
    children.start([one])
    try:
        long_ago = time.time() - processes.SILENCE_S - 1
        os.utime(tmp_path / "alive", (long_ago, long_ago))
        children.tend()
        assert one.process is None
        assert one.restart_at is not None
        one.restart_at = 0.0
        children.tend()
        assert not one.has_died()
        assert time.time() - (tmp_path / "alive").stat().st_mtime < processes.SILENCE_S
    finally:
        children.stop()


def test_a_child_that_shows_life_is_left_alone(tmp_path: Path) -> None:
    children = Children(tmp_path / "children.json")
    one = watched(tmp_path)
    children.start([one])
    try:
        before = one.process
        children.tend()
        assert one.process is before
    finally:
        children.stop()


def test_a_child_is_told_where_to_show_life(tmp_path: Path) -> None:
    one = Child("worker", [sys.executable, "-c", "import os; print(os.environ['PICKUP_ALIVE'])"], tmp_path / "log")
    one.alive = tmp_path / "alive"
    one.start()
    wait_for_end(one)
    assert one.log.read_text().strip() == str(tmp_path / "alive")


def test_stopping_ends_every_child_and_its_record(tmp_path: Path) -> None:
    children = Children(tmp_path / "children.json")
    one = child(tmp_path, "import time; time.sleep(60)")
    children.start([one])
    children.stop()
    assert one.has_died()
    assert not children.record.exists()


# Locks


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    with home.locked(tmp_path / "lock", wait=False) as first, home.locked(tmp_path / "lock", wait=False) as second:
        assert (first, second) == (True, False)


def test_a_shared_lock_is_held_by_many_and_keeps_out_who_wants_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with home.locked(path, shared=True) as first, home.locked(path, shared=True) as second:
        assert first
        assert second
        with home.locked(path, wait=False) as alone:
            assert not alone


# pip for a Python without it


PAGE = f'<a href="../../packages/{pip_wheel.NAME}#sha256=00">pip</a> <a href="https://elsewhere/pip-1.0.tar.gz">pip</a>'


def test_the_wheel_is_found_on_an_index_page_with_relative_links() -> None:
    link = pip_wheel.find_link(PAGE, "https://mirror/simple/pip/")
    assert link == f"https://mirror/packages/{pip_wheel.NAME}"


def test_a_wheel_with_another_content_is_refused() -> None:
    with pytest.raises(CannotGoOn, match="another content"):
        pip_wheel.checked(b"not what was published")


def test_the_wheel_comes_from_the_first_index_that_lists_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        pip_wheel, "SHA256", "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
    )  # of "foo"
    (tmp_path / "empty/pip").mkdir(parents=True)
    (tmp_path / "empty/pip/index.html").write_text("nothing here")
    (tmp_path / "full/pip").mkdir(parents=True)
    (tmp_path / "full/pip/index.html").write_text(f'<a href="{pip_wheel.NAME}">pip</a>')
    (tmp_path / "full/pip" / pip_wheel.NAME).write_text("foo")
    indexes = ((tmp_path / name).as_uri() for name in ("absent", "empty", "full"))
    assert pip_wheel.fetch(IndexSettings(tuple(indexes))) == b"foo"


def test_an_index_that_cannot_be_reached_is_named_without_its_password() -> None:
    with pytest.raises(CannotGoOn, match=r"http://127\.0\.0\.1:9/simple/pip/") as caught:
        pip_wheel.fetch(IndexSettings(("http://user:secret@127.0.0.1:9/simple",)))
    assert "secret" not in str(caught.value)


def test_the_environment_beats_the_configuration_files_and_the_later_file_the_earlier(tmp_path: Path) -> None:
    shared, own_file = tmp_path / "shared", tmp_path / "own"
    shared.write_text("[global]\nindex-url = https://shared/simple\ncert = /shared.pem\n")
    own_file.write_text(
        "[global]\nindex-url = https://own/simple\nextra-index-url = https://a/simple\n  https://b/simple/\n"
    )
    files = [shared, own_file, tmp_path / "absent"]
    assert IndexSettings.read({}, files) == IndexSettings(
        ("https://own/simple", "https://a/simple", "https://b/simple"), "/shared.pem"
    )
    assert IndexSettings.read({"PIP_INDEX_URL": "https://set/simple"}, files).urls[0] == "https://set/simple"


def test_without_any_configuration_no_index_is_known() -> None:
    assert IndexSettings.read({}, []) == IndexSettings(())


# The environment


@pytest.fixture
def requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    run_time, with_tests = tmp_path / "requirements.txt", tmp_path / "requirements-dev.txt"
    run_time.write_text("django==5.2\n")
    with_tests.write_text("django==5.2\npytest==9\n")
    monkeypatch.setattr(environment, "RUN_TIME", run_time)
    monkeypatch.setattr(environment, "WITH_TESTS", with_tests)
    return run_time, with_tests


def test_the_environment_for_tests_serves_every_command(requirements: tuple[Path, Path]) -> None:
    run_time, with_tests = requirements
    stamp = environment.stamp_after(with_tests)
    assert environment.is_installed(run_time, stamp)
    assert environment.is_installed(with_tests, stamp)


def test_the_environment_for_running_does_not_serve_the_tests(requirements: tuple[Path, Path]) -> None:
    run_time, with_tests = requirements
    assert not environment.is_installed(with_tests, environment.stamp_after(run_time))


def test_what_is_compiled_is_kept_whatever_the_machine_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("PICKUP_ENV", raising=False)
    monkeypatch.setattr(environment, "is_installed", lambda *_: True)
    monkeypatch.setattr(environment, "VENV", Path(sys.prefix))
    monkeypatch.setattr(environment, "PYTHON", Path(sys.executable))
    environment.enter(with_tests=True)
    assert "PYTHONDONTWRITEBYTECODE" not in os.environ


def test_changed_requirements_are_installed_again(requirements: tuple[Path, Path]) -> None:
    run_time, _ = requirements
    stamp = environment.stamp_after(run_time)
    run_time.write_text("django==5.2.1\n")
    assert not environment.is_installed(run_time, stamp)


# The checks of `manage.py test`


def code(number: int) -> checks.Check:
    return checks.Check(f"ends with {number}", (sys.executable, "-c", f"raise SystemExit({number})"))


def test_every_check_runs_though_one_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(checks, "CHECKS", (code(0), code(3), code(0)))
    assert checks.run_all([]) == 1
    summary = capsys.readouterr().err.partition("Summary")[2]
    assert [line.split()[0] for line in summary.splitlines() if line] == ["passed", "FAILED", "passed"]


def test_arguments_are_for_pytest_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, ...]] = []

    def run(check: checks.Check) -> int:
        ran.append(check.command)
        return 0

    monkeypatch.setattr(checks, "run", run)
    assert checks.run_all(["-k", "ledger"]) == 0
    assert ran == [(sys.executable, "-m", "pytest", "-k", "ledger")]


# The browser


@pytest.mark.parametrize(
    ("version", "stub"), [("156.0.8078.79-1~deb12u1", False), ("2:1snap1-0ubuntu2", True), ("", True)]
)
def test_a_package_that_only_asks_for_a_snap_is_no_browser(version: str, stub: bool) -> None:
    assert browser.is_stub(version) is stub


def test_a_program_that_does_not_name_its_version_is_no_browser(tmp_path: Path) -> None:
    pretender = tmp_path / "chromium-browser"
    browser.write_script(pretender, ["echo", "install the snap"], {})
    assert not browser.works(pretender)


def test_a_script_starts_its_program_with_the_variables_and_arguments_given(tmp_path: Path) -> None:
    script = tmp_path / "a script"
    browser.write_script(script, ["sh", "-c", 'echo "$COLOUR $1"', "it's"], {"COLOUR": "dark blue"})
    assert subprocess.run([script, "sea"], capture_output=True, text=True, check=True).stdout == "dark blue sea\n"


# Real servers


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    """A home of its own that the servers' user can enter, which pytest's folders are not for root."""
    with tempfile.TemporaryDirectory() as folder, none_left(Path(folder)):
        Path(folder).chmod(0o755)
        place = Home(Path(folder))
        place.make()
        fetched = Servers(Home.from_environment(os.environ)).place[0] / "servers"
        if fetched.exists():  # where the system has no servers, those of this very run serve again
            (place.root / "servers").symlink_to(fetched)
        monkeypatch.delenv("DATABASE_URL", raising=False)
        monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
        both = Servers.from_environment(place)
        yield both
        both.stop()
        both.sockets.rmdir()


def ask(servers: Servers, question: str) -> object:
    with psycopg.connect(servers.urls()["DATABASE_URL"], autocommit=True) as connection:
        answer = connection.execute(question)
        return answer.fetchone() if answer.description else None


def kill_postmaster(servers: Servers) -> None:
    pid = postgres.pid_in(servers.postgres().pid_file)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while processes.command_line(pid):
        time.sleep(0.05)


def test_private_servers_start_survive_a_crash_and_stop_after_their_last_user(servers: Servers) -> None:
    with servers.used() as started:
        assert started
        assert ask(
            servers, "SELECT count(*) FROM pg_extension WHERE extname IN ('postgis', 'btree_gist', 'pg_trgm')"
        ) == (3,)
        assert ask(servers, "SELECT show_trgm('取件') <> '{}'") == (True,)
        ask(servers, "CREATE TABLE kept AS SELECT 42 AS answer")
        kill_postmaster(servers)
        with servers.used() as started_again:
            assert started_again
        assert ask(servers, "SELECT answer FROM kept") == (42,), "the first user is still there"
        assert servers.redis().answers()
    assert not servers.postgres().answers()
    assert not servers.redis().answers()


def test_servers_that_end_by_themselves_are_started_again(servers: Servers) -> None:
    with servers.used():
        keeper = Keeper(servers)
        assert keeper.ended() == []
        kill_postmaster(servers)
        redis_pid = postgres.pid_in(servers.redis().folder / "redis.pid")
        assert redis_pid is not None
        os.kill(redis_pid, signal.SIGKILL)
        while processes.command_line(redis_pid):
            time.sleep(0.05)
        keeper.tend()
        assert servers.postgres().answers()
        assert servers.redis().answers()


def test_a_server_that_cannot_start_again_is_tried_again_later(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> bool:
        raise CannotGoOn("the disk is full")

    monkeypatch.setattr(postgres.Postgres, "start", fail)
    keeper = Keeper(servers)
    keeper.tend()
    assert "the disk is full" in capsys.readouterr().err
    assert keeper.pause_until > time.monotonic()


def test_a_server_that_started_is_stopped_again_if_the_other_one_cannot(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> Programs:
        raise CannotGoOn("no Redis here")

    monkeypatch.setattr(programs.Shelf, "redis", fail)
    with pytest.raises(CannotGoOn, match="no Redis here"), servers.used():
        pass
    assert not servers.postgres().is_running()


def test_servers_that_are_kept_run_until_they_are_taken_down(servers: Servers) -> None:
    with servers.used():
        servers.keep()
    with servers.used() as started:
        assert not started
    assert servers.postgres().answers()
    servers.down()
    assert not servers.postgres().answers()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def manage(servers: Servers, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, home.PROJECT / "manage.py", *arguments],
        env={**os.environ, "PICKUP_HOME": str(servers.home.root), "PICKUP_ENV": "current"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(address: Address, *, seconds: float) -> bool:
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        if commands.answers(address):
            return True
        time.sleep(0.1)
    return False


def test_up_serves_restarts_what_dies_and_stops_all_it_started(servers: Servers) -> None:
    address = Address("127.0.0.1", free_port())
    with manage(servers, "up", "--no-demo", "--bind", f"127.0.0.1:{address.port}") as up:
        try:
            assert wait_for(address, seconds=300)
            children = json.loads((servers.home.root / "children.json").read_text())
            web, *_ = map(int, children)
            os.kill(web, signal.SIGKILL)
            # Workers of the killed server may answer for a moment: wait for another one on record.
            give_up_at = time.monotonic() + 60
            while str(web) in (servers.home.root / "children.json").read_text() and time.monotonic() < give_up_at:
                time.sleep(0.05)
            assert wait_for(address, seconds=300)
            with manage(servers, "up", "--bind", f"127.0.0.1:{address.port}") as second:
                assert "it runs already" in second.communicate(timeout=300)[0]
                assert second.returncode == 1
        finally:
            up.send_signal(signal.SIGTERM)
            told = up.communicate(timeout=300)[0]
    assert up.returncode == 0, told
    assert f"Ready: {address}" in told
    assert "web ended by itself" in told
    assert not commands.answers(address)
    assert not servers.postgres().answers()
    assert not any(processes.command_line(int(pid)) for pid in children)
