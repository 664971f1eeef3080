"""Tries one login name and then another on the same connection. Arguments: the first name, the password of the second."""

import os
import sys

import paramiko

transport = paramiko.ServiceRequestingTransport((os.environ["PEER_HOST"], int(os.environ["PEER_PORT"])))
transport.start_client(timeout=20)
for word, name, password in (("first", sys.argv[1], "wrong"), ("second", os.environ["PEER_LOGIN"], sys.argv[2])):
    try:
        transport.auth_password(name, password, fallback=False)
        print(word, "taken")
    except paramiko.SSHException:
        print(word, "refused")
transport.close()
