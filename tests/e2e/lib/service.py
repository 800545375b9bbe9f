"""A process under test: ours (which says `ready`) or a foreign one (which is asked)."""
import os
import re
import signal
import socket
import subprocess
import time

from .wait import SLOWER, deadline, pause, wait_for

# `ready NAME proto=HOST:PORT ...`, the one line every server of ours prints once it serves.
READY = re.compile(r"^ready (\S+)((?: \S+=\S+)*)$")
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
    "TSAN_OPTIONS": "halt_on_error=0:second_deadlock_stack=1:exitcode=99",
}
COMPLAINT = re.compile(r"runtime error:|ERROR: \w+Sanitizer|WARNING: ThreadSanitizer")


def free_port():
    """A TCP port that nobody holds now; for foreign servers, which cannot choose their own."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Process:
    """A child with its output in a file. Use as a context manager, or stop() it."""

    def __init__(self, argv, folder, name=None, env=None, cwd=None):
        self.argv = [str(a) for a in argv]
        self.name = name or os.path.basename(self.argv[0])
        self.env = {**os.environ, **SANITIZERS, **(env or {})}
        self.cwd = cwd
        self.folder = folder
        self.child = None
        self.starts = 0

    def start(self):
        assert self.child is None, f"{self.name} runs already"
        self.starts += 1
        self.out_path = os.path.join(self.folder, f"{self.name}.{self.starts}.out")
        self.err_path = os.path.join(self.folder, f"{self.name}.{self.starts}.err")
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.child = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=err, env=self.env, cwd=self.cwd,
                                          start_new_session=True)
        return self

    @property
    def pid(self):
        return self.child.pid

    def stdout(self):
        return _text(self.out_path)

    def stderr(self):
        return _text(self.err_path)

    def log(self):
        """All that it printed, for a human and for searching."""
        return self.stdout() + "\n" + self.stderr()

    def signal(self, name):
        self.child.send_signal(getattr(signal, "SIG" + name))

    def wait(self, seconds=10):
        """Its exit status (negative: the signal that ended it); TimeoutError if it goes on."""
        try:
            return self.child.wait(seconds * SLOWER)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} goes on after {seconds * SLOWER} s") from None

    def kill(self, name="KILL"):
        """Ends it the hard way, with all its children; returns self, so .start() may follow."""
        if self.child and self.child.poll() is None:
            os.killpg(self.child.pid, getattr(signal, "SIG" + name))
            self.child.wait(10)
        self.child = None
        return self

    def stop(self, seconds=10):
        """SIGTERM, and it must exit by itself. Returns the exit status."""
        if self.child is None:
            return None
        if self.child.poll() is None:
            self.signal("TERM")
        try:
            status = self.wait(seconds)
        except TimeoutError:
            self.signal("ABRT")  # leaves a core or a sanitizer's stacks behind
            self.kill()
            raise
        self.child = None
        return status

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()


class Service(Process):
    """One of our servers: start() returns when it has said `ready`, stop() insists on exit 0."""

    def start(self, seconds=30):
        super().start()
        end = deadline(seconds)
        while True:
            line = next((m for m in map(READY.match, self.stderr().splitlines()) if m), None)
            if line:
                break
            if self.child.poll() is not None:
                status, self.child = self.child.returncode, None
                raise AssertionError(f"{self.name} exited with {status} before it was ready:\n"
                                     f"{self.log()[-3000:]}")
            if time.monotonic() > end:
                self.kill("ABRT")
                raise TimeoutError(f"{self.name} said no `ready` line within {seconds * SLOWER} s:\n"
                                   f"{self.log()[-3000:]}")
            pause()
        self.ready_name = line.group(1)
        self.addresses = dict(word.split("=", 1) for word in line.group(2).split())
        return self

    def address(self, proto="http"):
        """HOST:PORT of a listener, by the name it has in the ready line."""
        assert proto in self.addresses, f"{self.name} has no {proto}= in {self.addresses}"
        return self.addresses[proto]

    def host_port(self, proto="http"):
        host, port = self.address(proto).rsplit(":", 1)
        return host.strip("[]"), int(port)

    def url(self, path="/", proto="http"):
        return f"http://{self.address(proto)}{path}"

    def stop(self, seconds=10):
        if self.child is None:
            return None
        status = super().stop(seconds)
        assert status == 0, f"{self.name} exited with {status}:\n{self.log()[-4000:]}"
        assert not COMPLAINT.search(self.log()), f"a sanitizer complained:\n{self.log()[-6000:]}"
        return status

    def rss_kb(self):
        """Resident memory in kB."""
        with open(f"/proc/{self.pid}/status") as f:
            return int(re.search(r"^VmRSS:\s+(\d+) kB", f.read(), re.M).group(1))

    def cpu_seconds(self):
        """User and system time spent so far, all threads."""
        with open(f"/proc/{self.pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait_logged(self, pattern, seconds=5):
        """Waits until a line of its output matches; returns the match."""
        rx = re.compile(pattern, re.M)
        return wait_for(lambda: rx.search(self.log()), seconds, f"a line like {pattern!r}")


def _text(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()
