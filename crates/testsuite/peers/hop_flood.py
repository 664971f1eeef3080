"""Opens one hop after the other and says nothing in any of them; then closes them all. Prints how many there were, and
what the first refusal was. Arguments: the server's address and port."""

import sys

import paramiko

from client import connect

host, port = sys.argv[1], int(sys.argv[2])
jump = connect()
hops = []
while len(hops) < 1000:
    try:
        hops.append(jump.get_transport().open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0)))
    except paramiko.ChannelException as refused:
        print(len(hops), refused.text)
        break
for hop in hops:
    hop.close()
print("left", jump.get_transport().is_active())
jump.close()
