"""A schema registry that can be told to misbehave: `millrace registry` behind a gate.

    serve     requests are passed on
    refuse    503 for every one
    hang      requests are taken and not answered until the gate serves again
"""
import http.client
import json
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    def pass_on(self):
        gate = self.server.gate
        gate.asked += 1
        gate.flows.wait()
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length) if length else None
        if gate.refuses:
            self.answer(503, b'{"error_code": 50301, "message": "told to refuse"}')
        else:
            self.answer(*gate.ask(self.command, self.path, body))

    do_GET = do_POST = pass_on

    def answer(self, code, body):
        self.send_response(code)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_args):
        pass  # a worker that gave up waiting


class Registry:
    def __init__(self, millrace, folder):
        address = Path(folder) / "registry.url"
        self.log = open(Path(folder) / "registry.log", "ab")
        self.process = subprocess.Popen(
            [millrace, "registry", "--address-file", address], stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 30
        while not address.exists() or not address.read_text():
            if time.monotonic() > deadline:
                raise RuntimeError("millrace registry does not start")
            time.sleep(0.05)
        self.inner = address.read_text().strip().removeprefix("http://")
        self.flows, self.refuses, self.asked = threading.Event(), False, 0
        self.flows.set()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.gate = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def ask(self, method, path, body):
        """What the registry itself says, whatever the gate does."""
        link = http.client.HTTPConnection(self.inner, timeout=30)
        try:
            link.request(method, path, body)
            reply = link.getresponse()
            return reply.status, reply.read()
        finally:
            link.close()

    def register(self, subject, schema):
        code, body = self.ask("POST", f"/subjects/{subject}/versions",
                              json.dumps({"schema": json.dumps(schema)}))
        if code != 200:
            raise RuntimeError(f"the registry answers {code}: {body}")
        return json.loads(body)["id"]

    def refuse(self):
        self.refuses = True

    def hang(self):
        self.flows.clear()

    def serve(self):
        self.refuses = False
        self.flows.set()

    def stop(self):
        self.serve()
        self.server.shutdown()
        self.server.server_close()
        self.process.terminate()
        self.process.wait(30)
        self.log.close()
