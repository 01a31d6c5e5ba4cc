"""PostgreSQL, the link database on site."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from pathlib import Path

import psycopg2
import psycopg2.extensions
import sqlalchemy

from tests.services.process import Program, ServiceUnavailable, free_port, run

_INSTALLED = "/usr/lib/postgresql"
_PASSWORD = "link"


def execute(url: str, *statements: str) -> None:
    """Run statements as the owner of the database, in one transaction."""
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


class Postgresql:
    """A running PostgreSQL server with a folder of its own; needs nothing of the machine's own clusters."""

    def __init__(self) -> None:
        # PostgreSQL refuses to run as root, and the user it then runs as can't enter the folders of the test run.
        self._user = "postgres" if os.getuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="safelight-postgresql-"))
        self.port = free_port()
        self._databases = itertools.count(1)
        try:
            self._initialise()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def _initialise(self) -> None:
        password = self._folder / "password"
        password.write_text(_PASSWORD)
        if self._user is not None:
            shutil.chown(self._folder, self._user)
            shutil.chown(password, self._user)
        data = self._folder / "data"
        options = ["--username=link", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        run(
            [_server_program("initdb"), f"--pgdata={data}", f"--pwfile={password}", *options],
            self._folder,
            user=self._user,
        )
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            # The data need not survive a power cut.
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": 100,
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        self._program = Program(
            [_server_program("postgres"), "-D", str(data), *options], self._folder, self._answers, user=self._user
        )

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    def _connect(self) -> psycopg2.extensions.connection:
        connection = psycopg2.connect(host="127.0.0.1", port=self.port, user="link", password=_PASSWORD, dbname="postgres")
        connection.autocommit = True
        return connection

    def new_database(self) -> str:
        """The SQLAlchemy URL of a new, empty database."""
        name = f"link{next(self._databases)}"
        connection = self._connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {name}")
        finally:
            connection.close()
        return f"postgresql+psycopg2://link:{_PASSWORD}@127.0.0.1:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        """Remove a database together with whoever is still connected to it."""
        name = url.rpartition("/")[2]
        connection = self._connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
        finally:
            connection.close()

    def stop(self) -> None:
        """End the server and remove its folder."""
        # "Fast": clients that are still connected are disconnected.
        self._program.stop(_FAST_SHUTDOWN)
        shutil.rmtree(self._folder, ignore_errors=True)


_FAST_SHUTDOWN = 2


def _server_program(name: str) -> str:
    """A program of the newest PostgreSQL here; not the one on PATH, which may be of another version than its neighbours."""
    versions = sorted(Path(_INSTALLED).glob("*/bin"), key=lambda folder: float(folder.parent.name))
    if not versions:
        raise ServiceUnavailable("PostgreSQL is not installed: type `make services`")
    return str(versions[-1] / name)
