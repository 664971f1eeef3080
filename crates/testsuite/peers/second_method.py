"""Logs in with a password after a key that is not taken. Arguments: the key's file, the password."""

import os
import sys

import paramiko

client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect(
    os.environ["PEER_HOST"],
    port=int(os.environ["PEER_PORT"]),
    username=os.environ["PEER_LOGIN"],
    key_filename=sys.argv[1],
    password=sys.argv[2],
    allow_agent=False,
    look_for_keys=False,
    auth_timeout=60,
)
print("in")
client.close()
