"""Asks a jump host for hops to these hosts in turn, until it hangs up. Prints how many it has refused, and what was said at
the end. Arguments: the hosts."""

import itertools
import logging
import sys

import paramiko

from client import connect

said = []


class Last(logging.Handler):
    def emit(self, record):
        if "Disconnect" in record.getMessage():
            said.append(record.getMessage())


log = logging.getLogger("paramiko.transport")
log.setLevel(logging.INFO)
log.addHandler(Last())
transport = connect().get_transport()
refused = 0
for host in itertools.islice(itertools.cycle(sys.argv[1:]), 1000):
    try:
        transport.open_channel("direct-tcpip", (host, 22), ("127.0.0.1", 0), timeout=60)
    except paramiko.ChannelException:
        refused += 1
    except (paramiko.SSHException, EOFError, OSError):
        break
transport.join(60)
print(refused, "refused")
print("\n".join(said))
