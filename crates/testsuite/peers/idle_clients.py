"""Opens as many sessions as its argument says, and lets them be idle.

Each line of its standard input is a round: a byte goes out and comes back on each session, one after the other. At the
end of the input all of them are closed. What was done is said on standard error.
"""

import asyncio
import os
import sys

import asyncssh

AT_ONCE = 16


class Echo(asyncssh.SSHClientSession):
    heard = None
    gone = False

    def data_received(self, data, datatype):
        if self.heard and not self.heard.done():
            self.heard.set_result(data)

    def connection_lost(self, exc):
        self.gone = True
        if exc:
            say("a session was lost: %s" % exc)


def say(text):
    print(text, file=sys.stderr, flush=True)


async def connect(key, door):
    async with door:
        connection = await asyncssh.connect(
            os.environ["PEER_HOST"],
            int(os.environ["PEER_PORT"]),
            username=os.environ["PEER_LOGIN"],
            client_keys=[key],
            known_hosts=None,
            agent_path=None,
            config=None,
            login_timeout=600,
            connect_timeout=600,
            kex_algs=["curve25519-sha256"],
            encryption_algs=["aes128-gcm@openssh.com"],
        )
        channel, session = await connection.create_session(Echo, "echo", encoding=None)
        return connection, channel, session


async def echoes(sessions):
    count = 0
    for _, channel, session in sessions:
        if session.gone:
            continue
        session.heard = asyncio.get_running_loop().create_future()
        channel.write(b"x")
        count += await asyncio.wait_for(session.heard, 30) == b"x"
    return count


async def main(count):
    key = asyncssh.read_private_key(os.environ["PEER_KEY"])
    door = asyncio.Semaphore(AT_ONCE)
    sessions = []
    for done in asyncio.as_completed([connect(key, door) for _ in range(count)]):
        sessions.append(await done)
        if len(sessions) % 500 == 0:
            say("%d of %d are open" % (len(sessions), count))
    say("open %d" % len(sessions))
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        say("echoed %d" % await echoes(sessions))
    for connection, _, _ in sessions:
        connection.close()
    for connection, _, _ in sessions:
        await connection.wait_closed()
    say("closed %d" % len(sessions))


asyncio.run(main(int(sys.argv[1])))
