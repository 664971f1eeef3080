"""Does each operation in a folder where none is allowed, and after each one the same where all are. Arguments: the
folder where all are allowed, the other one."""

import sys

from client import connect

allowed, forbidden = sys.argv[1:]

with connect() as client, client.open_sftp() as sftp:

    def put(folder):
        with sftp.open(folder + "/new", "w") as file:
            file.write("new")

    def get(folder):
        with sftp.open(folder + "/old") as file:
            assert file.read() == b"old\n"

    operations = {
        "download": get,
        "upload": put,
        "list": sftp.listdir,
        "truncate": lambda folder: sftp.truncate(folder + "/old", 4),
        "attributes": lambda folder: sftp.chmod(folder + "/old", 0o600),
        "rename": lambda folder: sftp.posix_rename(folder + "/old", folder + "/renamed"),
        "rename back": lambda folder: sftp.rename(folder + "/renamed", folder + "/old"),
        "make-directory": lambda folder: sftp.mkdir(folder + "/folder"),
        "symlink": lambda folder: sftp.symlink(folder + "/old", folder + "/link"),
        "remove directory": lambda folder: sftp.rmdir(folder + "/folder"),
        "delete": lambda folder: sftp.remove(folder + "/new"),
        "into": lambda folder: sftp.rename(allowed + "/old", folder + "/in"),
        "out of": lambda folder: sftp.rename(folder + "/in", allowed + "/old"),
    }
    for name, operation in operations.items():
        try:
            operation(forbidden)
            print(name, "was let through")
        except PermissionError:
            pass
        operation(allowed)

    def refused(name, operation, *arguments):
        try:
            operation(*arguments)
            print(name, "was let through")
        except PermissionError:
            pass

    refused("up and down", sftp.open, allowed + "/../" + forbidden.rsplit("/", 1)[1] + "/old")
    refused("doubled slashes", sftp.open, "/" + forbidden + "//old")
    refused("link out", sftp.symlink, forbidden + "/old", allowed + "/out")
    refused("link up", sftp.symlink, "..", allowed + "/up")
    refused("link in", sftp.symlink, allowed + "/old", forbidden + "/in")
    print(sorted(sftp.listdir(allowed)))
