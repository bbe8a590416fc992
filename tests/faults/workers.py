"""Workers under a supervisor that starts a dead one again, as systemd or Kubernetes would."""
import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MILLRACE = ROOT / os.environ.get("MILLRACE", "build/millrace")
MODELS = ROOT / "tests/data/models"
# Ends that a supervisor takes for "start it again": stopped, a transaction that hung, killed.
GOOD_ENDS = (0, 75, -signal.SIGKILL)

CONFIG = """
kafka = {{ bootstrap_servers = "{bootstrap}"; }};
consumer = {{ session_timeout_ms = 6000; heartbeat_interval_ms = 1000; {consumer} }};
producer = {{ transaction_timeout_ms = 20000; {producer} }};
worker = {{ group = "{group}"; delivery = "{delivery}"; watchdog_s = 20; window_jobs = 4096;
    {worker} }};
http = {{ port = 0; }};
log = {{ format = "json"; }};
registry = {{ {registry} }};
models = ( {{ name = "{model}"; path = "{models}/{model}.onnx"; }} );
routes = ( {{ input = "{input}"; output = "{output}"; dead_letter = "{dead}";
    model = "{model}"; {route} }} );
"""


class Worker:
    def __init__(self, name, config, folder, environment=None):
        self.name = name
        self.command = [str(MILLRACE), "worker", "--config", str(config),
                        "--set", f"worker.instance={name}"]
        self.log_path = Path(folder) / f"worker-{name}.log"
        self.log = open(self.log_path, "ab")
        self.environment = dict(environment or {})
        self.first_environment = dict(self.environment)
        self.ends = []
        self.peak_mib = 0
        self.wanted = True
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, env={**os.environ, **self.environment})

    def keep(self):
        """Starts it again where it has ended and should run; notes its memory."""
        code = self.process.poll()
        if code is None:
            self.note_memory()
        elif self.wanted:
            self.ends.append(code)
            self.start()

    def note_memory(self):
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        if found:
            self.peak_mib = max(self.peak_mib, int(found[1]) // 1024)

    def renew(self):
        """Another life without the fault's environment, where it had any."""
        if not self.wanted:
            self.find()
        elif self.environment != self.first_environment:
            self.environment = dict(self.first_environment)
            self.kill()

    def signal(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)

    def lose(self, patience_s):
        """Nobody starts it again once it has ended, by itself or in the end killed."""
        self.wanted = False
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def find(self):
        """Runs again; without the fault's environment."""
        self.environment = dict(self.first_environment)
        self.wanted = True

    def kill(self):
        self.signal(signal.SIGKILL)

    def stop(self, patience_s=60):
        self.wanted = False
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self.ends.append(self.process.wait(patience_s))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.ends.append("did not end after SIGTERM")
        self.log.close()


class Workers:
    """Two or more, and the thread that keeps them."""

    def __init__(self, folder, values, count=2, environment=None):
        self.config = Path(folder) / "worker.conf"
        self.config.write_text(CONFIG.format(models=MODELS, **values))
        self.group = values["group"]
        self.all = [Worker(f"w{i + 1}", self.config, folder, environment)
                    for i in range(count)]
        self.done = threading.Event()
        self.keeper = threading.Thread(target=self.keep, daemon=True)
        self.keeper.start()

    def keep(self):
        while not self.done.wait(0.1):
            for worker in self.all:
                worker.keep()

    def any(self):
        return random.choice(self.all)

    def transactional_ids(self):
        return [f"{self.group}-{worker.name}" for worker in self.all]

    def heal(self):
        for worker in self.all:
            worker.renew()

    def stop(self):
        self.done.set()
        self.keeper.join()
        for worker in self.all:
            worker.stop()

    def abandon(self):
        """Leaves none behind, whatever went wrong."""
        self.done.set()
        self.keeper.join()
        for worker in self.all:
            worker.kill()

    @property
    def restarts(self):
        """After all have stopped: the last end of each is no restart."""
        return sum(len(worker.ends) - 1 for worker in self.all)

    @property
    def peak_mib(self):
        return max(worker.peak_mib for worker in self.all)

    def bad_ends(self, allowed=()):
        return [end for worker in self.all for end in worker.ends
                if end not in GOOD_ENDS and end not in allowed]

    def librdkafka(self):
        opened = self.events("stream_open")
        return opened[0]["librdkafka"] if opened else ""

    def events(self, name):
        """What the workers' logs say of an event, each a dictionary."""
        return [json.loads(line) for worker in self.all
                for line in worker.log_path.read_text().splitlines()
                if f'"event":"{name}"' in line]


def settle(seconds):
    """The schedule of a fault: how long it lasts before the next step."""
    time.sleep(seconds)
