"""An HTTPS server of the loopback, for peers that answer JSON. It says `listening PORT -`, notes each request on stderr
as `METHOD PATH STATUS`, and ends with its standard input."""

import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BODY = 1024 * 1024


def serve(answer, certificate, key, client_authority=None):
    """`answer(method, path, headers, body, client)` gives the status and an object for the body, or `None`.

    `client` is the common name of the client's certificate, which it must have when there is a `client_authority`.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self):
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(min(size, MAX_BODY)) or b"null")
            status, content = answer(self.command, self.path, self.headers, body, common_name(self.connection))
            say("{} {} {}".format(self.command, self.path, status))
            data = b"" if content is None else json.dumps(content).encode("utf-8")
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = handle_any

        def log_message(self, *_):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if client_authority:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_authority)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def finish_request(self, request, client_address):
            # The handshake is the thread's business: a client that is slow or wrong stops nobody else.
            with context.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)

        def handle_error(self, request, client_address):
            say("refused: {}".format(sys.exc_info()[1]))

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say("listening {} -".format(server.server_address[1]))
    sys.stdin.read()


def common_name(connection):
    certificate = connection.getpeercert() or {}
    return next((value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"), None)


def say(line):
    print(line, file=sys.stderr, flush=True)
