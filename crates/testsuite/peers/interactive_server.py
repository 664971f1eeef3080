"""An SSH server that takes nothing but keyboard-interactive.

It answers a command when its input ends; with PEER_HASTY set it says something before it accepts the command, as
servers on Paramiko often do. With PEER_CODE set it asks for that as well, after the right password; with PEER_HALFWAY
the password is a method of its own, and the code what is left.
"""

import os
import socket
import sys
import threading

import paramiko

PASSWORD = os.environ["PEER_PASSWORD"]
CODE = os.environ.get("PEER_CODE")
HALFWAY = "PEER_HALFWAY" in os.environ
ASK_CODE = paramiko.InteractiveQuery("", "", ("Verification code: ", False))


def say(text):
    print(text, file=sys.stderr, flush=True)


class Server(paramiko.ServerInterface):
    password_is_known = False

    def get_allowed_auths(self, username):
        return "password" if HALFWAY and not self.password_is_known else "keyboard-interactive"

    def check_auth_password(self, username, password):
        self.password_is_known = HALFWAY and password == PASSWORD
        return paramiko.AUTH_PARTIALLY_SUCCESSFUL if self.password_is_known else paramiko.AUTH_FAILED

    def check_auth_interactive(self, username, submethods):
        if self.password_is_known:
            return ASK_CODE
        return paramiko.InteractiveQuery("", "Hello.", ("Password: ", False))

    def check_auth_interactive_response(self, responses):
        if self.password_is_known:
            return self.told("code", responses == [CODE])
        right = responses == [PASSWORD]
        if right and CODE is not None:
            say("answer right")
            self.password_is_known = True
            return ASK_CODE
        return self.told("answer", right)

    def told(self, what, right):
        say("%s %s" % (what, "right" if right else "wrong"))
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        if "PEER_HASTY" in os.environ:
            channel.sendall(b"hasty\n")
        threading.Thread(target=answer, args=(channel, command), daemon=True).start()
        return True


def answer(channel, command):
    while channel.recv(4096):
        pass
    channel.sendall(b"ran " + command + b"\n")
    channel.send_exit_status(0)
    channel.close()


def until_stdin_ends():
    sys.stdin.buffer.read()
    os._exit(0)


listener = socket.create_server(("127.0.0.1", 0))
key = paramiko.ECDSAKey.generate()
threading.Thread(target=until_stdin_ends, daemon=True).start()
say("listening %d %s %s" % (listener.getsockname()[1], key.get_name(), key.get_base64()))
while True:
    peer, _ = listener.accept()
    transport = paramiko.Transport(peer)
    transport.add_server_key(key)
    transport.start_server(server=Server(), event=threading.Event())
