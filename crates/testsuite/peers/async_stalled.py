"""Reads nothing of one channel, and works on other channels of the same connection meanwhile."""

import asyncio
import hashlib

from async_client import connect, run

SIZE = 4 * 1024 * 1024


async def echo(connection, number):
    data = bytes([number]) * SIZE
    done = await connection.run("cat", input=data, encoding=None)
    return hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest() and done.exit_status == 0


async def case():
    async with connect() as connection:
        stalled = await connection.create_process("head -c 64000000 /dev/zero", encoding=None)
        await stalled.stdout.read(1)
        print(await asyncio.gather(*(echo(connection, number) for number in range(4))))
        rest = 1
        while piece := await stalled.stdout.read(1 << 20):
            rest += len(piece)
        print(rest, (await stalled.wait()).exit_status)


run(case)
