"""Makes each request of a session in turn; prints what came back, and how it ended."""

from async_client import connect, run


async def case():
    async with connect() as connection:
        process = await connection.create_process(
            "command", env={"LANG": "C"}, term_type="vt100", term_size=(91, 31), encoding="utf-8"
        )
        print((await process.stdout.readline()).strip())
        process.change_terminal_size(92, 32)
        process.send_signal("HUP")
        process.send_break(500)
        process.stdin.write("word")
        print(await process.stderr.readexactly(len("read word")))
        process.stdin.write_eof()
        await process.wait_closed()
        print(process.exit_signal)


run(case)
