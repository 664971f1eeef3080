"""What calls itself an object store and is none. LIE says how it answers:
`hash` takes everything and names another hash, `endless` refuses without ever coming to an end, `elsewhere` sends
everybody to another server, which it notes if they come. Says `listening PORT -`, and ends with its standard input."""

import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LIE = os.environ["LIE"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        if self.path.startswith("/followed"):
            print("followed", file=sys.stderr, flush=True)
        left = int(self.headers.get("content-length") or 0)
        while left > 0:
            left -= len(self.rfile.read(min(left, 65536)) or b" " * left)
        if LIE == "elsewhere":
            self.send_response(307)
            self.send_header("location", "http://127.0.0.1:%d/followed" % self.server.server_port)
            self.send_header("content-length", "0")
            self.end_headers()
        elif LIE == "endless" and self.command == "PUT":
            self.send_response(403)
            self.end_headers()
            try:
                for _ in range(1 << 20):
                    self.wfile.write(b"<Code>" * 10000)
            except OSError:
                print("hung up", file=sys.stderr, flush=True)
            self.close_connection = True
        else:
            self.send_response(200)
            self.send_header("etag", '"00000000000000000000000000000000"')
            self.send_header("content-length", "0")
            self.end_headers()

    do_HEAD = do_PUT = do_GET = do_DELETE = answer

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print("listening %d -" % server.server_port, file=sys.stderr, flush=True)
sys.stdin.read()
