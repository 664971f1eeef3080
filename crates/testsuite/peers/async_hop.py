"""AsyncSSH goes through a jump host, to the same server several times at once. Arguments: the server's address and
port, and how often."""

import asyncio
import os
import sys

import asyncssh

from async_client import connect, run

host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


async def hop(jump, number):
    async with asyncssh.connect(
        host, port, tunnel=jump, username=os.environ["PEER_LOGIN"], known_hosts=None, config=None, client_keys=None
    ) as server:
        data = os.urandom(300_000 + number)
        result = await server.run("cat", input=data, encoding=None, check=True)
        return result.stdout == data


async def case():
    async with connect() as jump:
        print(*await asyncio.gather(*(hop(jump, number) for number in range(count))))


run(case)
