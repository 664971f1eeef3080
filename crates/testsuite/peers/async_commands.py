"""Runs commands that end in each way; prints what each gave, and how it ended."""

from async_client import connect, run


async def case():
    async with connect() as connection:
        done = await connection.run("cat; echo complaint >&2; exit 6", input="through")
        print(done.stdout, done.stderr.strip(), done.exit_status)
        killed = await connection.run("kill -TERM $$")
        print(killed.exit_status, killed.exit_signal[0])
        dumped = await connection.run("ulimit -c 0; kill -SEGV $$")
        print(dumped.exit_status, dumped.exit_signal[0])


run(case)
