-- A plugin instance as it is at a time: a bundle with a configuration. A session keeps the one that it began with, so
-- a revision stays for as long as the end of a session may be owed to it. The configuration may hold secrets, so it
-- is sealed with a key that lies beside the database, and told from others by a keyed hash.
CREATE TABLE plugin_revisions (
    id INTEGER PRIMARY KEY,
    instance TEXT NOT NULL,
    bundle TEXT NOT NULL,
    checksum TEXT NOT NULL,
    environment TEXT NOT NULL,
    configuration BLOB NOT NULL,
    configuration_hash TEXT NOT NULL,
    made BIGINT NOT NULL
);
CREATE INDEX plugin_revisions_instance ON plugin_revisions (instance, id);

-- NULL: entered by a program that knew no revisions.
ALTER TABLE session_plugins ADD COLUMN revision BIGINT;
ALTER TABLE session_plugins ADD COLUMN follow_updates BOOLEAN NOT NULL DEFAULT FALSE;
-- The bundle that the call ran on, where it is not that of session_plugins.
ALTER TABLE hook_calls ADD COLUMN checksum TEXT;
-- How the plugin's process ended.
ALTER TABLE hook_calls ADD COLUMN exit TEXT;
