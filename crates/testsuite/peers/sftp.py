"""Copies a file up and down, and lists, renames and removes on the way. Arguments: a local file, a remote folder."""

import os
import sys

from client import connect

local, remote = sys.argv[1:3]

with connect() as client, client.open_sftp() as sftp:
    sftp.put(local, remote + "/there", confirm=True)
    sftp.rename(remote + "/there", remote + "/moved")
    sftp.chmod(remote + "/moved", 0o640)
    print(sorted(sftp.listdir(remote)), oct(sftp.stat(remote + "/moved").st_mode & 0o777))
    sftp.get(remote + "/moved", local + ".back")
    sftp.remove(remote + "/moved")
    with open(local, "rb") as one, open(local + ".back", "rb") as two:
        print("same" if one.read() == two.read() else "different", sftp.listdir(remote))
    try:
        sftp.open(remote + "/missing")
    except FileNotFoundError:
        print("missing")
os.remove(local + ".back")
