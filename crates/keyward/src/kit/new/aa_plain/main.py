#!/usr/bin/env pluginwrapper3
"""Asks for a word, and allows the servers that the configuration lists. Standard library only."""

import configparser
import fnmatch


class Plugin:
    def __init__(self, configuration):
        """`configuration` is the text of the plugin instance, unparsed. Every hook call has a Plugin of its own."""
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(configuration)
        self.access = parser["access"]

    def authenticate(self, key_value_pairs, client_ip):
        """Declare the arguments that you want; they come by name. Answers come back in `key_value_pairs`."""
        word = key_value_pairs.get("word")
        if word is None:
            return {"verdict": "NEEDINFO", "question": ["word", "The word: ", True]}
        if word != self.access["word"]:
            print("A wrong word from", client_ip)  # lines on stdout and stderr are logged
            return {"verdict": "DENY", "reason": "That is not the word."}
        return {"verdict": "ACCEPT"}

    def authorize(self, server_hostname, server_ip):
        for pattern in self.access.get("servers", "").split(","):
            if fnmatch.fnmatchcase(server_hostname or server_ip, pattern.strip()):
                return {"verdict": "ACCEPT", "additional_metadata": "allowed by " + pattern.strip()}
        return {"verdict": "DENY", "reason": "You may not log in there."}

    def session_ended(self, session_id):
        """Called once for each session, whatever came of it."""
        print("The session has ended")
