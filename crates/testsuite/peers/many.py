"""Opens ten channels on one connection, all at once, and talks on each of them in turn."""

from client import connect

with connect() as client:
    channels = []
    for _ in range(10):
        channel = client.get_transport().open_session(timeout=20)
        channel.settimeout(20)
        channel.exec_command("cat")
        channels.append(channel)
    for number, channel in enumerate(channels):
        channel.sendall(b"%d\n" % number)
    seen = [channel.makefile().readline().strip() for channel in channels]
    for channel in channels:
        channel.shutdown_write()
    statuses = {channel.recv_exit_status() for channel in channels}
    print(" ".join(seen), statuses)
