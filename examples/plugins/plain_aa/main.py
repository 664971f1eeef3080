#!/usr/bin/env pluginwrapper3
"""The bare contract: three hooks, arguments by name, dicts as results. Nothing but the standard library."""


class Plugin:
    def __init__(self, configuration):
        """`configuration` is the text of the instance, unparsed. Here: the word to ask for."""
        self.word = configuration.strip() or "friend"

    def authenticate(self, session_id, gateway_user, key_value_pairs, cookie):
        """Asks until there is an answer; each answer comes back in `key_value_pairs` in a new process."""
        answer = key_value_pairs.get("word")
        if answer is None:
            return {"verdict": "NEEDINFO", "question": ("word", "Speak the word and enter: ", False)}
        if answer != self.word:
            return {"verdict": "DENY", "reason": "That is not the word."}
        print("the word was spoken in", session_id)  # lines on stdout and stderr are logged
        cookie["calls"] = cookie.get("calls", 0) + 1
        return {
            "verdict": "ACCEPT",
            "gateway_user": gateway_user or key_value_pairs.get("gu", "visitor"),
            "gateway_groups": ["friends"],
            "cookie": cookie,
        }

    def authorize(self, server_username, server_ip, server_port, **others):
        """`**others` takes all the arguments that are not named."""
        if server_username == "root":
            return {"verdict": "DENY", "reason": "Not as root."}
        metadata = "to {}:{} from {}".format(server_ip, server_port, others["client_ip"])
        return {"verdict": "ACCEPT", "additional_metadata": metadata}

    def session_ended(self, session_id, cookie):
        """Called once for each session, whatever came of it."""
        print(session_id, "has ended after", cookie.get("calls", 0), "successful authentications")
