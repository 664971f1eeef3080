"""An AsyncSSH server that says which requests reach it; it takes any login."""

import asyncio
import os
import sys
import threading

import asyncssh


def say(*words):
    print(*words, file=sys.stderr, flush=True)


class Session(asyncssh.SSHServerSession):
    def connection_made(self, chan):
        self.chan = chan

    def pty_requested(self, term_type, term_size, term_modes):
        say("pty", term_type, term_size[:2])
        return True

    def shell_requested(self):
        return True

    def exec_requested(self, command):
        say("exec", command)
        return True

    def session_started(self):
        self.chan.write("started\n")

    def terminal_size_changed(self, width, height, pixwidth, pixheight):
        say("size", width, height)

    def signal_received(self, signal):
        say("signal", signal)

    def break_received(self, msec):
        say("break", msec)
        return True

    def data_received(self, data, datatype):
        self.chan.write_stderr("read %s" % data.strip())

    def eof_received(self):
        say("eof")
        self.chan.exit_with_signal("USR1", core_dumped=True, msg="asked to", lang="en")


class Server(asyncssh.SSHServer):
    def public_key_auth_supported(self):
        return True

    def validate_public_key(self, username, key):
        return True

    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return True

    def session_requested(self):
        return Session()


def until_stdin_ends():
    sys.stdin.buffer.read()
    os._exit(0)


async def serve():
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(Server, "127.0.0.1", 0, server_host_keys=[key], line_editor=False)
    port = server.sockets[0].getsockname()[1]
    say("listening", port, key.export_public_key().decode().strip())
    await asyncio.Event().wait()


threading.Thread(target=until_stdin_ends, daemon=True).start()
asyncio.run(serve())
