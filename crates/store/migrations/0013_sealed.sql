-- Secrets are sealed with a key that lies here as well, wrapped with the master key. SQL seals nothing: what these columns
-- have so far is sealed by the store in the change that makes the row of the key.
CREATE TABLE data_keys (
    -- There is one: 1.
    id BIGINT PRIMARY KEY,
    -- Tells master keys from each other and gives nothing of them away.
    master_key TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    -- False: what was sealed in place of something may have left that in pages of the file that are free.
    scrubbed BOOLEAN NOT NULL
);
-- An empty cookie has no bytes.
ALTER TABLE sessions ADD COLUMN sealed BLOB NOT NULL DEFAULT '';
UPDATE sessions SET sealed = CAST(session_cookie AS BLOB) WHERE session_cookie <> '{}';
ALTER TABLE sessions DROP COLUMN session_cookie;
ALTER TABLE sessions RENAME COLUMN sealed TO session_cookie;
ALTER TABLE session_plugins ADD COLUMN sealed BLOB NOT NULL DEFAULT '';
UPDATE session_plugins SET sealed = CAST(cookie AS BLOB) WHERE cookie <> '{}';
ALTER TABLE session_plugins DROP COLUMN cookie;
ALTER TABLE session_plugins RENAME COLUMN sealed TO cookie;
ALTER TABLE gateway_secrets ADD COLUMN sealed BLOB NOT NULL DEFAULT '';
UPDATE gateway_secrets SET sealed = CAST(value AS BLOB);
ALTER TABLE gateway_secrets DROP COLUMN value;
ALTER TABLE gateway_secrets RENAME COLUMN sealed TO value;
