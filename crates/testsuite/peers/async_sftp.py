"""SFTP and scp of AsyncSSH: a tree there and back. Arguments: a local tree, a remote folder, a local folder for the copy."""

import sys

import asyncssh

from async_client import connect, run

near, far, back = sys.argv[1:]


async def case():
    async with connect() as connection:
        async with connection.start_sftp_client() as sftp:
            await sftp.put(near, far + "/tree", recurse=True)
            await sftp.rename(far + "/tree", far + "/moved")
            print(await sftp.isdir(far + "/moved"), (await sftp.statvfs(far)).bsize > 0)
            await sftp.get(far + "/moved", back + "/sftp", recurse=True)
        await asyncssh.scp((connection, far + "/moved"), back + "/scp", recurse=True)


run(case)
