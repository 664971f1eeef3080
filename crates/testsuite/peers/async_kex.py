"""Logs in with the key exchange methods of its arguments and no others, and runs a command."""

import sys

from async_client import connect, run


async def case():
    async with connect(kex_algs=sys.argv[1:]) as connection:
        result = await connection.run("echo in", check=True)
        print(result.stdout, end="")


run(case)
