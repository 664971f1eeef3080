"""What a call has in the place of a result."""


class Failure(Exception):
    """A call without a result: its kind in the words of the gateway, and what to tell."""

    def __init__(self, kind, message, trace=None):
        Exception.__init__(self, message)
        self.kind = kind
        self.message = message
        self.trace = trace

    def frame(self):
        return {"error": {"kind": self.kind, "message": self.message, "traceback": self.trace}}
