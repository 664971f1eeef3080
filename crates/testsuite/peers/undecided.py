"""A client that asks how it could log in, and then does nothing; prints whether it was hung up on in time."""

import os
import sys
import time

import paramiko

transport = paramiko.Transport((os.environ["PEER_HOST"], int(os.environ["PEER_PORT"])))
transport.start_client(timeout=20)
try:
    transport.auth_none(os.environ["PEER_LOGIN"])
except paramiko.BadAuthenticationType as refused:
    print(*refused.allowed_types)
deadline = time.monotonic() + float(sys.argv[1])
while transport.is_active() and time.monotonic() < deadline:
    time.sleep(0.05)
print("still connected" if transport.is_active() else "hung up")
transport.close()
