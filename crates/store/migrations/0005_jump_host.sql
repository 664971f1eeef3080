-- The session of the jump host that a session was opened through; NULL: the client connected to the gateway itself.
ALTER TABLE sessions ADD COLUMN jump_host TEXT;
