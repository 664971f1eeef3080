"""A `requests` session that verifies the server and shows a client certificate.

The SDK has `requests_tls` for that. This does two things besides: it never talks to a server that it has not
verified, and the file of the private key is gone when the session is, whatever happens.
"""

import contextlib
import os
import tempfile

import requests


@contextlib.contextmanager
def open_session(config, section="tls"):
    """The session of the options `ca_cert` and `client_cert`, both of which must be there. `config` is the SDK's."""
    authorities = config.get_ca_certificate(section, "ca_cert", required=True)
    identity = config.get_certificate(section, "client_cert", required=True)
    with contextlib.ExitStack() as files, requests.Session() as session:
        if authorities.get("location"):
            session.verify = authorities["location"]
        else:
            session.verify = files.enter_context(_file(authorities["certs"]))
        session.cert = files.enter_context(_file([identity["cert"], identity["key"]]))
        yield session


@contextlib.contextmanager
def _file(texts):
    """The path of a file with these texts, which only we can read."""
    descriptor, path = tempfile.mkstemp(suffix=".pem")
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write("\n".join(text.strip("\n") for text in texts) + "\n")
        yield path
    finally:
        os.remove(path)
