"""An SSH server whose every program says back what it hears, for thousands of connections. It takes any password."""

import asyncio
import os
import sys
import threading

import asyncssh


class Server(asyncssh.SSHServer):
    def begin_auth(self, username):
        return True

    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return True

    def session_requested(self):
        return Echo()


class Echo(asyncssh.SSHServerSession):
    def connection_made(self, chan):
        self.chan = chan

    def exec_requested(self, command):
        return True

    def data_received(self, data, datatype):
        self.chan.write(data)


def until_stdin_ends():
    sys.stdin.buffer.read()
    os._exit(0)


async def main():
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(
        Server,
        "127.0.0.1",
        0,
        server_host_keys=[key],
        kex_algs=["curve25519-sha256"],
        line_editor=False,
        encoding=None,
        backlog=1000,
        login_timeout=600,
    )
    public = " ".join(key.export_public_key().decode().split()[:2])
    print("listening %d %s" % (server.get_port(), public), file=sys.stderr, flush=True)
    await server.wait_closed()


threading.Thread(target=until_stdin_ends, daemon=True).start()
asyncio.run(main())
