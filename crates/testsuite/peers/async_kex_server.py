"""An AsyncSSH server that has the key exchange method of PEER_KEX and no other; it takes any password."""

import asyncio
import os
import sys
import threading

import asyncssh


class Server(asyncssh.SSHServer):
    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return True


def answer(process):
    process.stdout.write("ran %s\n" % process.command)
    process.exit(0)


def until_stdin_ends():
    sys.stdin.buffer.read()
    os._exit(0)


async def serve():
    key = asyncssh.generate_private_key("ssh-ed25519")
    kex = [os.environ["PEER_KEX"]]
    server = await asyncssh.create_server(
        Server, "127.0.0.1", 0, server_host_keys=[key], kex_algs=kex, process_factory=answer
    )
    port = server.sockets[0].getsockname()[1]
    print("listening", port, key.export_public_key().decode().strip(), file=sys.stderr, flush=True)
    await asyncio.Event().wait()


threading.Thread(target=until_stdin_ends, daemon=True).start()
asyncio.run(serve())
