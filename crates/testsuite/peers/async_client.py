"""An AsyncSSH client to the place that the environment names."""

import asyncio
import os
import sys

import asyncssh


def connect(**options):
    return asyncssh.connect(
        os.environ["PEER_HOST"],
        int(os.environ["PEER_PORT"]),
        username=os.environ["PEER_LOGIN"],
        client_keys=[os.environ["PEER_KEY"]],
        known_hosts=None,
        agent_path=None,
        config=None,
        login_timeout=20,
        **options,
    )


def run(case):
    """Runs a coroutine to its end, which must come within a minute and a half."""

    async def bounded():
        await asyncio.wait_for(case(), 90)

    try:
        asyncio.run(bounded())
    except (OSError, asyncssh.Error, asyncio.TimeoutError) as error:
        sys.exit("%s: %s" % (type(error).__name__, error))
