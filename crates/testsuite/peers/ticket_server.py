"""A ticket server with the API of the example plugin `ticketing`.

TICKETS_CERTIFICATE, TICKETS_KEY: files. TICKETS_TOKEN: what clients must show. TICKETS: a JSON object of numbers and
tickets. Notes are said on stderr, as `note NUMBER TEXT`.
"""

import json
import os

from https_server import say, serve

tickets = json.loads(os.environ["TICKETS"])


def answer(method, path, headers, body, client):
    if headers.get("Authorization") != "Bearer " + os.environ["TICKETS_TOKEN"]:
        return 401, {"error": "who are you?"}
    parts = path.strip("/").split("/")
    if parts[:2] != ["api", "tickets"] or len(parts) < 3 or parts[2] not in tickets:
        return 404, None
    if method == "GET" and len(parts) == 3:
        return 200, tickets[parts[2]]
    if method == "POST" and parts[3:] == ["notes"]:
        say("note {} {}".format(parts[2], body["text"]))
        return 201, None
    return 405, None


serve(answer, os.environ["TICKETS_CERTIFICATE"], os.environ["TICKETS_KEY"])
