"""A guard in front of a schema registry: HTTPS that asks for a client's certificate, a
password or a token, and passes on what it lets through.

    guard.py BACKEND --cert FILE [--client-ca FILE] [--user U:P | --token T] --address FILE"""
import argparse
import base64
import http.server
import ssl
import urllib.error
import urllib.request


class Guard(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.forward(None)

    def do_POST(self):
        self.forward(self.rfile.read(int(self.headers["Content-Length"])))

    def forward(self, body):
        wanted = self.server.authorization
        if wanted is not None and self.headers.get("Authorization") != wanted:
            return self.answer(401, b'{"error_code": 401, "message": "who are you?"}')
        request = urllib.request.Request(self.server.backend + self.path, data=body)
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                return self.answer(reply.status, reply.read())
        except urllib.error.HTTPError as error:
            return self.answer(error.code, error.read())

    def answer(self, code, body):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("backend")
    parser.add_argument("--cert", required=True)
    parser.add_argument("--client-ca")
    parser.add_argument("--user")
    parser.add_argument("--token")
    parser.add_argument("--address", required=True)
    args = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Guard)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(args.cert)
    if args.client_ca:
        context.load_verify_locations(args.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.backend, server.authorization = args.backend, None
    if args.user:
        server.authorization = "Basic " + base64.b64encode(args.user.encode()).decode()
    if args.token:
        server.authorization = "Bearer " + args.token
    with open(args.address, "w", encoding="utf-8") as file:
        file.write(f"https://127.0.0.1:{server.server_port}")
    server.serve_forever()


main()
