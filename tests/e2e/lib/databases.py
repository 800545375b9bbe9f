"""Databases that a test starts, stops and mistreats: Redis, and a PostgreSQL cluster of its own."""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

from .service import Process, free_port
from .wait import SLOWER, wait_for

PG_BIN = next((d for d in (f"/usr/lib/postgresql/{v}/bin" for v in range(18, 12, -1))
               if os.path.exists(d)), None)
REDIS = shutil.which("redis-server")


class Redis(Process):
    def __init__(self, folder, *options, port=None):
        self.port = port or free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        super().__init__([REDIS, "--port", self.port, "--bind", "127.0.0.1", "--save", "",
                          "--dir", folder, *options], folder, name=f"redis-{self.port}")

    def start(self):
        super().start()
        wait_for(lambda: socket.create_connection(("127.0.0.1", self.port), 1).close() or True)
        return self


class Postgres:
    """A cluster of its own, run by a user who is not root, as PostgreSQL insists."""

    def __init__(self):
        self.user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        # Not below pytest's folder, which is closed to other users whenever a session begins.
        self.folder = tempfile.mkdtemp(prefix="pg-")
        self.port = free_port()
        self.conninfo = f"host=127.0.0.1 port={self.port} user={self.user} dbname=postgres"
        if os.getuid() == 0:
            shutil.chown(self.folder, self.user)
        self.run("initdb", "-D", self.data, "-A", "trust", "-N", "-U", self.user)

    @property
    def data(self):
        return os.path.join(self.folder, "data")

    def run(self, program, *args):
        command = [os.path.join(PG_BIN, program), *map(str, args)]
        if os.getuid() == 0:
            command = ["runuser", "-u", self.user, "--", *command]
        subprocess.run(command, check=True, timeout=60 * SLOWER, cwd=self.folder,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def start(self):
        self.run("pg_ctl", "-D", self.data, "-w", "-l", os.path.join(self.folder, "log"), "-o",
                 f"-p {self.port} -F -k {self.folder} -c listen_addresses=127.0.0.1", "start")
        return self

    def stop(self, mode="fast"):
        self.run("pg_ctl", "-D", self.data, "-m", mode, "-w", "stop")

    def remove(self):
        """Ends it, whatever a test has left of it, and takes its files away."""
        try:
            self.signal(signal.SIGCONT)
            self.stop("immediate")
        except (subprocess.CalledProcessError, OSError):
            pass  # the test has stopped it
        shutil.rmtree(self.folder, ignore_errors=True)

    def pids(self):
        """The server and its children."""
        with open(os.path.join(self.data, "postmaster.pid")) as f:
            main = int(f.readline())
        with open(f"/proc/{main}/task/{main}/children") as f:
            return [main, *map(int, f.read().split())]

    def signal(self, number):
        for pid in self.pids():
            os.kill(pid, number)
