"""Makes a symbolic link with AsyncSSH; prints where it leads. Argument: a folder on the server."""

import sys

from async_client import connect, run

folder = sys.argv[1]


async def case():
    async with connect() as connection, connection.start_sftp_client() as sftp:
        await sftp.symlink(folder + "/there", folder + "/link")
        print(await sftp.readlink(folder + "/link") == folder + "/there")


run(case)
