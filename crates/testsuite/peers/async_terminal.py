"""Changes the size of a terminal while the remote program prints; prints each size that the program learned of."""

from async_client import connect, run

SIZES = [(81, 25), (132, 43), (40, 12)]
# Looks by itself, since shells lose a signal now and then that comes while they act on another.
SCRIPT = (
    "n=0; while [ ! -e '%s' ]; do n=$((n+1)); echo line $n; "
    "[ $((n %% 50)) -ne 0 ] || echo size $(stty size) end; done; exit 3"
)


async def until(reader, text):
    seen = ""
    while text not in seen:
        piece = await reader.read(4096)
        if not piece:
            raise SystemExit("the program ended before %r" % text)
        seen = seen[-100:] + piece


async def case():
    async with connect() as connection:
        stop = (await connection.run("mktemp -u")).stdout.strip()
        process = await connection.create_process(SCRIPT % stop, term_type="xterm", term_size=(80, 24))
        await until(process.stdout, "line 1")
        for columns, rows in SIZES:
            process.change_terminal_size(columns, rows)
            size = "size %d %d end" % (rows, columns)
            await until(process.stdout, size)
            print(size)
        await connection.run("touch '%s'" % stop)
        await process.stdout.read()
        await process.wait()
        await connection.run("rm '%s'" % stop)
        print(process.exit_status)


run(case)
