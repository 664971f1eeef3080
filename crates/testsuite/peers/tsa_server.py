"""A timestamping authority on the loopback: `openssl ts` behind HTTP, or with TSA_TLS behind HTTPS. It says
`listening PORT -`, notes each request on stderr, and ends with its standard input.

It runs in TSA_FOLDER, where the file `mood` says how it answers."""

import os
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FOLDER = os.environ["TSA_FOLDER"]
MAX_BODY = 64 * 1024
MAX_SILENCE = 60
told = threading.Lock()
numbers = iter(range(1, 1000000))


def reply(query, config="tsa.cnf"):
    """The answer of `openssl ts` to a query."""
    with told:
        number = next(numbers)
        names = [os.path.join(FOLDER, "{}.{}".format(number, end)) for end in ("tsq", "tsr")]
        with open(names[0], "wb") as file:
            file.write(query)
        command = ["openssl", "ts", "-reply", "-config", config, "-queryfile", names[0], "-out", names[1]]
        subprocess.run(command, cwd=FOLDER, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(names[1], "rb") as file:
            return file.read()


def other(digest):
    """A query of openssl's own, with a number of its own."""
    command = ["openssl", "ts", "-query", "-sha256", "-cert", "-digest", digest]
    return subprocess.run(command, cwd=FOLDER, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def answer(mood, query):
    if mood == "good":
        return 200, reply(query)
    if mood == "wrong nonce":
        # The hash stands behind its own tag and length.
        place = query.index(b"\x04\x20") + 2
        return 200, reply(other(query[place:place + 32].hex()))
    if mood == "wrong imprint":
        return 200, reply(other("00" * 32))
    if mood == "rejects":
        return 200, reply(query[:-1])
    if mood == "other authority":
        return 200, reply(query, "stranger.cnf")
    if mood == "garbage":
        return 200, b"\x30\x80garbage" * 100
    if mood == "endless":
        return 200, None
    if mood == "redirects":
        return 302, b""
    return 500, b"no"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        with open(os.path.join(FOLDER, "mood"), encoding="ascii") as file:
            mood = file.read()
        size = min(int(self.headers.get("Content-Length") or 0), MAX_BODY)
        query = self.rfile.read(size)
        say("asked {} {}: {}".format(self.path, self.headers.get("Content-Type"), mood))
        if mood == "silent":
            threading.Event().wait(MAX_SILENCE)
            return
        status, body = answer(mood, query)
        self.send_response(status)
        self.send_header("Content-Type", "application/timestamp-reply")
        if status == 302:
            self.send_header("Location", self.path + "elsewhere")
        self.end_headers()
        try:
            if body is None:
                while True:
                    self.wfile.write(bytes(65536))
            self.wfile.write(body)
        except OSError:
            say("hung up on")

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        say("refused: {}".format(sys.exc_info()[1]))


def say(line):
    print(line, file=sys.stderr, flush=True)


server = Server(("127.0.0.1", 0), Handler)
if os.environ.get("TSA_TLS"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(FOLDER, "server.pem"), os.path.join(FOLDER, "server.key"))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
threading.Thread(target=server.serve_forever, daemon=True).start()
say("listening {} -".format(server.server_address[1]))
sys.stdin.read()
