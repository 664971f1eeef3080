-- Secrets are sealed with a key that lies here as well, wrapped with the master key. SQL seals nothing: what these columns
-- have so far is sealed by the store in the change that makes the row of the key.
CREATE TABLE data_keys (
    -- There is one: 1.
    id BIGINT PRIMARY KEY,
    -- Tells master keys from each other and gives nothing of them away.
    master_key TEXT COLLATE "C" NOT NULL,
    wrapped BYTEA NOT NULL,
    -- Of a SQLite alone.
    scrubbed BOOLEAN NOT NULL
);
-- An empty cookie has no bytes.
ALTER TABLE sessions ALTER COLUMN session_cookie TYPE BYTEA
    USING CASE WHEN session_cookie = '{}' THEN '' ELSE convert_to(session_cookie, 'UTF8') END;
ALTER TABLE sessions ALTER COLUMN session_cookie SET DEFAULT '';
ALTER TABLE session_plugins ALTER COLUMN cookie TYPE BYTEA
    USING CASE WHEN cookie = '{}' THEN '' ELSE convert_to(cookie, 'UTF8') END;
ALTER TABLE session_plugins ALTER COLUMN cookie SET DEFAULT '';
ALTER TABLE gateway_secrets ALTER COLUMN value TYPE BYTEA USING convert_to(value, 'UTF8');
