"""An AsyncSSH server that takes little in one packet, and says how much came in the longest one; it takes any login.
With PEER_HASTY it lets in whoever asks about a key, before anybody has signed."""

import asyncio
import hashlib
import os
import sys
import threading

import asyncssh

PACKET = 5000
if os.environ.get("PEER_HASTY"):
    # All that it ever sends by itself is that a key is worth a signature.
    asyncssh.auth._ServerPublicKeyAuth.send_packet = lambda auth, *_, **__: asyncio.ensure_future(auth.send_success())


class Session(asyncssh.SSHServerSession):
    def connection_made(self, chan):
        self.chan, self.longest, self.count, self.hash = chan, 0, 0, hashlib.sha256()

    def exec_requested(self, command):
        return True

    def data_received(self, data, datatype):
        self.longest = max(self.longest, len(data))
        self.count += len(data)
        self.hash.update(data)

    def eof_received(self):
        print("received", self.count, file=sys.stderr, flush=True)
        self.chan.write(f"{self.hash.hexdigest()} {self.longest <= PACKET}\n".encode())
        self.chan.exit(0)


class Server(asyncssh.SSHServer):
    def public_key_auth_supported(self):
        return True

    def validate_public_key(self, username, key):
        return True

    def session_requested(self):
        return Session()


async def main():
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=Server, server_host_keys=[host_key], encoding=None, max_pktsize=PACKET
    )
    public = host_key.export_public_key().decode().strip()
    print("listening", server.get_port(), public, file=sys.stderr, flush=True)
    # Ends with its standard input.
    ended = asyncio.get_running_loop().create_future()
    stop = lambda: ended.get_loop().call_soon_threadsafe(ended.set_result, None)
    threading.Thread(target=lambda: (sys.stdin.read(), stop()), daemon=True).start()
    await ended


asyncio.run(main())
