-- The words are those that PostgreSQL knows too, but for BLOB (there BYTEA) and the key of hook_calls
-- (there BIGINT GENERATED ALWAYS AS IDENTITY). Times are milliseconds since 1970 in UTC.

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    -- The node that owns the session. One node calls itself 'local'.
    node TEXT NOT NULL,
    protocol TEXT NOT NULL,
    connection TEXT NOT NULL,
    client TEXT NOT NULL,
    login TEXT,
    started BIGINT NOT NULL,
    gateway_user TEXT,
    gateway_groups TEXT,
    remote_user TEXT,
    target_address TEXT,
    target_hostname TEXT,
    additional_metadata TEXT,
    trail TEXT,
    session_cookie TEXT NOT NULL,
    -- How many notes were made, those above the limit included.
    notes BIGINT NOT NULL,
    ended BIGINT,
    verdict TEXT,
    reason TEXT,
    CHECK ((ended IS NULL) = (verdict IS NULL))
);
CREATE INDEX sessions_started ON sessions (started, id);
CREATE INDEX sessions_open ON sessions (node) WHERE ended IS NULL;

CREATE TABLE session_plugins (
    session TEXT NOT NULL REFERENCES sessions (id),
    instance TEXT NOT NULL,
    -- The order in which the plugins were first called.
    position BIGINT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('aa', 'credentialstore')),
    bundle TEXT NOT NULL,
    checksum TEXT NOT NULL,
    retry_interrupted BOOLEAN NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('called', 'ending', 'ended', 'interrupted')),
    cookie TEXT NOT NULL,
    -- How session_ended went.
    outcome TEXT,
    PRIMARY KEY (session, instance)
);
CREATE INDEX session_plugins_state ON session_plugins (state);

CREATE TABLE hook_calls (
    id INTEGER PRIMARY KEY,
    session TEXT NOT NULL,
    instance TEXT NOT NULL,
    hook TEXT NOT NULL,
    round BIGINT NOT NULL,
    started BIGINT NOT NULL,
    duration_us BIGINT,
    verdict TEXT,
    -- NULL while the call runs, and for ever where the gateway died during it.
    outcome TEXT,
    error TEXT,
    traceback TEXT,
    log TEXT,
    log_left_out BIGINT,
    FOREIGN KEY (session, instance) REFERENCES session_plugins (session, instance)
);
CREATE INDEX hook_calls_session ON hook_calls (session, instance);

CREATE TABLE session_notes (
    session TEXT NOT NULL REFERENCES sessions (id),
    n BIGINT NOT NULL,
    noted BIGINT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (session, n)
);

CREATE TABLE host_keys (
    host TEXT NOT NULL,
    port BIGINT NOT NULL,
    key_type TEXT NOT NULL,
    key TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    PRIMARY KEY (host, port, key_type)
);

CREATE TABLE bundles (
    checksum TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    -- Counts the uploads of this name: the highest is the current one.
    generation BIGINT NOT NULL,
    version TEXT NOT NULL,
    api TEXT NOT NULL,
    kind TEXT NOT NULL,
    uploaded BIGINT NOT NULL,
    size BIGINT NOT NULL,
    archive BLOB NOT NULL,
    UNIQUE (name, generation)
);

CREATE TABLE gateway_secrets (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
