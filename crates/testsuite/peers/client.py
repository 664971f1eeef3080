"""A Paramiko client to the place that the environment names."""

import os

import paramiko


def connect(**options):
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect(
        os.environ["PEER_HOST"],
        port=int(os.environ["PEER_PORT"]),
        username=os.environ["PEER_LOGIN"],
        key_filename=os.environ["PEER_KEY"],
        allow_agent=False,
        look_for_keys=False,
        timeout=20,
        banner_timeout=20,
        auth_timeout=20,
        **options,
    )
    return client
