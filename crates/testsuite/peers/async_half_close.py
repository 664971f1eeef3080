"""Ends one direction of a channel long before the other, each way. Argument: a file for the remote side."""

import sys

from async_client import connect, run


async def case():
    async with connect() as connection:
        # The server ends its direction first, and still reads.
        path = sys.argv[1]
        process = await connection.create_process("exec >&- 2>&-; cat > '%s'; exit 5" % path)
        print(repr(await process.stdout.read() + await process.stderr.read()))
        process.stdin.write("after the end of the output\n")
        process.stdin.write_eof()
        await process.wait()
        print(process.exit_status, (await connection.run("cat '%s'" % path)).stdout.strip())
        # The client ends its direction first, and still reads.
        process = await connection.create_process("cat; for n in 1 2 3; do sleep 0.1; echo $n; done; exit 4")
        process.stdin.write("before ")
        process.stdin.write_eof()
        print((await process.stdout.read()).split())
        await process.wait()
        print(process.exit_status)


run(case)
