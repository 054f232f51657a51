"""`up`, `down`, `test` and `bench`; every other command is Django's, with the private servers running for it."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from . import browser, checks, environment
from .console import CannotGoOn, last_lines, say
from .home import PROJECT, Home, locked
from .processes import Child, Children, birth, end_orphans
from .servers import Keeper, Servers

START_S = 120
DOWN_S = 90
WITHOUT_DATABASE = {
    "help", "check", "collectstatic", "compilemessages", "diffsettings", "findstatic", "makemessages",
    "makemigrations", "version",
}  # fmt: skip
ON_ANY_SCHEMA = {"dbshell", "inspectdb", "migrate", "showmigrations", "sqlmigrate"}


@dataclass(frozen=True)
class Address:
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, like 127.0.0.1:8000 or [::1]:8000")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def reachable(self) -> Address:
        """The address to visit: one that means "every interface" cannot be visited itself."""
        return Address({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host), self.port)  # noqa: S104


def main(arguments: Sequence[str]) -> int:
    try:
        return dispatch(arguments)
    except CannotGoOn as reason:
        say(f"Cannot go on: {reason}")
        return 1
    except KeyboardInterrupt:
        return 130


def dispatch(arguments: Sequence[str]) -> int:
    command = arguments[0] if arguments else "help"
    if command == "test":
        return test(arguments[1:])
    if command == "bench":
        return bench(arguments[1:])
    if command not in {"up", "down"}:
        return django(command)
    options = parser().parse_args(arguments)
    if options.command == "down":
        return down()
    if options.services:
        return up_services()
    return up(options.bind, with_demo=options.demo)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="manage.py", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", help="set up whatever is missing and serve until Ctrl-C")
    start.add_argument("--bind", type=Address.parse, default="127.0.0.1:8000", metavar="HOST:PORT")
    start.add_argument("--no-demo", dest="demo", action="store_false", help="leave an empty database empty")
    start.add_argument("--services", action="store_true", help="only database and broker, in the background")
    commands.add_parser("down", help="stop what `up` or `up --services` started")
    return top


def up(address: Address, *, with_demo: bool) -> int:
    """Serve until Ctrl-C or SIGTERM, then stop everything that was started for it."""
    stop_in_order_on_signals()
    home = opened_home()
    with locked(home.root / "up.lock", wait=False) as alone:
        if not alone:
            where = running_up(home).get("address", "another address")
            raise CannotGoOn(f"it runs already, at {where}; `python3 manage.py down` stops it")
        end_orphans(home.root / "children.json")
        refuse_taken(address)
        facts = {"pid": os.getpid(), "born": birth(os.getpid()), "address": str(address)}
        (home.root / "up.json").write_text(json.dumps(facts))
        environment.enter(with_tests=False)
        servers = Servers.from_environment(home)
        with suppress(KeyboardInterrupt), servers.used():
            export(home, servers, address)
            migrate()
            if with_demo:
                say("Loading the demo, if the database is empty …")
                manage("demo", "--if-empty")
            serve(home, servers, address, with_demo=with_demo)
        say("Stopped.")
        return 0


def serve(home: Home, servers: Servers, address: Address, *, with_demo: bool) -> None:
    """Run the web server, the worker and the clock until a signal, and start again whatever ends by itself."""
    parts = processes(home, address, web=servers.runtime("web"), worker=servers.runtime("worker"))
    refuse_unsafe(parts)
    say("Starting the web server, the worker and the clock …")
    children = Children(home.root / "children.json")
    try:
        children.start(parts)
        wait_for_web(children, address.reachable)
        print(f"\nReady: {address.reachable}", flush=True)
        if with_demo:
            manage("demo", "--sign-ins")
        else:
            print("Make an administrator in another terminal: python3 manage.py createsuperuser", flush=True)
        say(f"Logs are in {home.root / 'logs'}. Ctrl-C stops everything.")
        keeper = Keeper(servers)
        while True:
            keeper.tend()
            children.tend(forever=True)
            time.sleep(0.5)
    finally:
        say("\nStopping …")
        children.stop()


def refuse_unsafe(parts: Sequence[Child]) -> None:
    """Say what is unsafe before anything starts: each part refuses it too, but in its own log."""
    check = [sys.executable, "-m", "django", "check", "--deploy", "--tag", "startup", "--database", "default"]
    variables = {**os.environ, **parts[0].variables}
    found = subprocess.run(check, cwd=PROJECT, env=variables, capture_output=True, text=True, check=False)
    if "WARNINGS" in found.stderr or found.returncode != 0:
        say(found.stderr.strip())
    if found.returncode != 0:
        raise CannotGoOn(f"the {parts[0].name} would not be safe: see the lines above")


def processes(home: Home, address: Address, *, web: dict[str, str], worker: dict[str, str]) -> list[Child]:
    python = [sys.executable, "-m"]
    beat = home.root / "beat"
    beat.mkdir(exist_ok=True)
    celery = [*python, "celery", "-A", "pickup.config.celery"]
    listen = ["--host", address.host, "--port", str(address.port)]
    size = ["--workers", "2", "--blocking-threads", "4", "--respawn-failed-workers"]
    commands = {
        "web": [*python, "granian", "--interface", "wsgi", *listen, *size, "pickup.config.wsgi:application"],
        "worker": [*celery, "worker", "--concurrency", "2", "--loglevel", "INFO"],
        "clock": [*celery, "beat", "--schedule", str(beat / "schedule"), "--loglevel", "INFO"],
    }
    variables = {"web": web, "worker": worker, "clock": worker}
    # The clock rings and the worker answers: if nothing comes out at the end, either may be stuck.
    alive = {"worker": home.root / "alive", "clock": home.root / "alive"}
    return [
        Child(name, command, home.root / "logs" / f"{name}.log", variables[name], alive=alive.get(name))
        for name, command in commands.items()
    ]


def up_services() -> int:
    environment.enter(with_tests=False)
    home = opened_home()
    servers = Servers.from_environment(home)
    with servers.used():
        export(home, servers)
        migrate()
        servers.keep()
    for name in ("DATABASE_URL", "CELERY_BROKER_URL"):
        print(f"{name}={os.environ[name]}", flush=True)
    return 0


def down() -> int:
    """Stop a running `up` and the servers, if any run. This needs no environment."""
    home = Home.from_environment(os.environ)
    if not home.root.exists():
        return 0
    with locked(home.root / "up.lock", wait=False) as idle:
        facts = running_up(home)
        pid = int(str(facts.get("pid", 0)))
        if not idle and pid and birth(pid) == facts.get("born"):
            os.kill(pid, signal.SIGTERM)
    wait_until_unlocked(home)
    end_orphans(home.root / "children.json")
    Servers(home).down()
    return 0


def wait_until_unlocked(home: Home) -> None:
    give_up_at = time.monotonic() + DOWN_S
    while time.monotonic() < give_up_at:
        with locked(home.root / "up.lock", wait=False) as idle:
            if idle:
                return
        time.sleep(0.2)
    raise CannotGoOn("`manage.py up` does not stop")


def test(pytest_arguments: Sequence[str]) -> int:
    """Run all checks, or only pytest with the arguments given, on servers that run as long as it takes."""
    environment.enter(with_tests=True)
    stop_in_order_on_signals()
    home = opened_home()
    servers = Servers.from_environment(home)
    os.environ |= browser.variables(home.root)
    with servers.used():
        export(home, servers)
        return checks.run_all(pytest_arguments)


def bench(names: Sequence[str]) -> int:
    """Measure speeds beside limits of the same run, in a database of their own that is dropped afterwards."""
    environment.enter(with_tests=True)
    stop_in_order_on_signals()
    home = opened_home()
    servers = Servers.from_environment(home)
    with servers.used():
        export(home, servers)
        return subprocess.run([sys.executable, "-m", "tests.benchmarks", *names], cwd=PROJECT, check=False).returncode


def django(command: str) -> int:
    """Run a command of Django's or of ours in this process; servers that it has to start go on running."""
    environment.enter(with_tests=False)
    home = opened_home()
    servers = Servers.from_environment(home)
    if command in {"help", "-h", "--help"}:
        say("Beside the commands listed there are up, down, test and bench: see `manage.py up --help`.")
    if command in WITHOUT_DATABASE or command.startswith("-") or {"-h", "--help"} & set(sys.argv):
        export(home, servers)
        execute()
        return 0
    with servers.used() as started:
        export(home, servers)
        if started:
            if command not in ON_ANY_SCHEMA:
                migrate()
            servers.keep()
            say("Database and broker go on running; `python3 manage.py down` stops them.")
        execute()
    return 0


def execute() -> None:
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


def opened_home() -> Home:
    home = Home.from_environment(os.environ)
    home.make()
    if not os.environ.get("PICKUP_SECRETS_FILE"):
        home.make_secrets()
    return home


def export(home: Home, servers: Servers, address: Address | None = None) -> None:
    """Tell Django, in this process and in those it starts, where everything is."""
    os.environ |= servers.urls() | {"PICKUP_HOME": str(home.root)}
    if address is not None:
        os.environ.setdefault("PICKUP_BASE_URL", str(address.reachable))
        os.environ.setdefault("PICKUP_HOSTS", ",".join(hosts(address)))
        # Without a gateway nobody would ever see a code: on this machine the notices can be read here.
        os.environ.setdefault("NOTICES_FILE", str(home.root / "notices.jsonl"))


def hosts(address: Address) -> list[str]:
    """Return the names that requests may ask for; those of a machine that listens everywhere are not known here."""
    names = ["localhost", "127.0.0.1", "[::1]"]
    if address != address.reachable:
        say("Listening everywhere, answering to localhost: set PICKUP_HOSTS to the names that others will use.")
        return names
    own = f"[{address.host}]" if ":" in address.host else address.host
    return names if own in names else [*names, own]


def migrate() -> None:
    say("Bringing the database up to date …")
    manage("migrate", "--verbosity", "0")


def manage(*arguments: str) -> None:
    command = [sys.executable, "-m", "django", *arguments]
    if subprocess.run(command, cwd=PROJECT, stdin=subprocess.DEVNULL, check=False).returncode != 0:
        raise CannotGoOn(f"`manage.py {' '.join(arguments)}` failed: see the lines above")


def refuse_taken(address: Address) -> None:
    """Find out that the port is taken, or the host not ours, before anything is started."""
    try:
        family, kind, _, _, where = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        raise CannotGoOn(
            f"cannot listen on {address}: {error.strerror}. Choose another with --bind HOST:PORT"
        ) from error


def wait_for_web(children: Children, address: Address) -> None:
    give_up_at = time.monotonic() + START_S
    while not answers(address):
        if time.monotonic() > give_up_at:
            log = children.children[0].log
            raise CannotGoOn(f"the web server does not answer on {address}; the end of {log}:\n{last_lines(log)}")
        children.tend()
        time.sleep(0.2)


def answers(address: Address) -> bool:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=10)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def running_up(home: Home) -> dict[str, object]:
    try:
        facts: dict[str, object] = json.loads((home.root / "up.json").read_text())
    except (OSError, ValueError):
        return {}
    return facts


def stop_in_order_on_signals() -> None:
    """Make SIGTERM and a closed terminal do what Ctrl-C does, once: nothing interrupts the stopping."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(*_: object) -> None:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in signals:
        signal.signal(number, interrupt)
