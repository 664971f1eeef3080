-- The schema that SQLite has at step 10, in PostgreSQL's words. Texts are compared by their bytes, as SQLite does, whatever
-- the database's own order. Times are milliseconds since 1970 in UTC.

CREATE TABLE sessions (
    id TEXT COLLATE "C" PRIMARY KEY,
    -- The node that owns the session. One node calls itself 'local'.
    node TEXT COLLATE "C" NOT NULL,
    protocol TEXT COLLATE "C" NOT NULL,
    connection TEXT COLLATE "C" NOT NULL,
    client TEXT COLLATE "C" NOT NULL,
    login TEXT COLLATE "C",
    started BIGINT NOT NULL,
    gateway_user TEXT COLLATE "C",
    gateway_groups TEXT COLLATE "C",
    remote_user TEXT COLLATE "C",
    target_address TEXT COLLATE "C",
    target_hostname TEXT COLLATE "C",
    additional_metadata TEXT COLLATE "C",
    trail TEXT COLLATE "C",
    session_cookie TEXT COLLATE "C" NOT NULL,
    -- How many notes were made, those above the limit included.
    notes BIGINT NOT NULL,
    ended BIGINT,
    verdict TEXT COLLATE "C",
    reason TEXT COLLATE "C",
    -- The session of the jump host that a session was opened through; NULL: the client connected to the gateway itself.
    jump_host TEXT COLLATE "C",
    -- The public key of the node that signs it.
    trail_signer TEXT COLLATE "C",
    -- Its verdict and reason, or why it has no end; NULL: not closed yet.
    trail_end TEXT COLLATE "C",
    -- The last link of its chain, and its length in bytes; NULL: not known.
    trail_link TEXT COLLATE "C",
    trail_length BIGINT,
    -- When the deletion of its recording was decided; NULL: the recording is kept.
    trail_deleted BIGINT,
    CHECK ((ended IS NULL) = (verdict IS NULL))
);
CREATE INDEX sessions_started ON sessions (started, id);
CREATE INDEX sessions_open ON sessions (node) WHERE ended IS NULL;
CREATE INDEX sessions_trail ON sessions (trail) WHERE trail IS NOT NULL;
-- The recordings that are kept, the oldest first: of a connection, and all of them.
CREATE INDEX sessions_kept_of ON sessions (connection, ended, id) WHERE trail IS NOT NULL AND trail_deleted IS NULL;
CREATE INDEX sessions_kept ON sessions (ended, id) WHERE trail IS NOT NULL AND trail_deleted IS NULL;
-- Finished recordings, for those that no store has yet.
CREATE INDEX sessions_closed_trails ON sessions (ended) WHERE trail_link IS NOT NULL AND trail_deleted IS NULL;

CREATE TABLE session_plugins (
    session TEXT COLLATE "C" NOT NULL REFERENCES sessions (id),
    instance TEXT COLLATE "C" NOT NULL,
    -- The order in which the plugins were first called.
    position BIGINT NOT NULL,
    role TEXT COLLATE "C" NOT NULL CHECK (role IN ('aa', 'credentialstore')),
    bundle TEXT COLLATE "C" NOT NULL,
    checksum TEXT COLLATE "C" NOT NULL,
    retry_interrupted BOOLEAN NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('called', 'ending', 'ended', 'interrupted')),
    cookie TEXT COLLATE "C" NOT NULL,
    -- How session_ended went.
    outcome TEXT COLLATE "C",
    -- NULL: entered by a program that knew no revisions.
    revision BIGINT,
    follow_updates BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (session, instance)
);
CREATE INDEX session_plugins_state ON session_plugins (state);

CREATE TABLE hook_calls (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session TEXT COLLATE "C" NOT NULL,
    instance TEXT COLLATE "C" NOT NULL,
    hook TEXT COLLATE "C" NOT NULL,
    round BIGINT NOT NULL,
    started BIGINT NOT NULL,
    duration_us BIGINT,
    verdict TEXT COLLATE "C",
    -- NULL while the call runs, and for ever where the gateway died during it.
    outcome TEXT COLLATE "C",
    error TEXT COLLATE "C",
    traceback TEXT COLLATE "C",
    log TEXT COLLATE "C",
    log_left_out BIGINT,
    -- Whether the call reached a process of the plugin. One that did not has run nothing of it, and owes it nothing.
    reached BOOLEAN NOT NULL DEFAULT TRUE,
    -- The bundle that the call ran on, where it is not that of session_plugins.
    checksum TEXT COLLATE "C",
    -- How the plugin's process ended.
    exit TEXT COLLATE "C",
    FOREIGN KEY (session, instance) REFERENCES session_plugins (session, instance)
);
CREATE INDEX hook_calls_session ON hook_calls (session, instance);

CREATE TABLE session_notes (
    session TEXT COLLATE "C" NOT NULL REFERENCES sessions (id),
    n BIGINT NOT NULL,
    noted BIGINT NOT NULL,
    text TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (session, n)
);

CREATE TABLE host_keys (
    host TEXT COLLATE "C" NOT NULL,
    port BIGINT NOT NULL,
    key_type TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    first_seen BIGINT NOT NULL,
    PRIMARY KEY (host, port, key_type)
);

CREATE TABLE bundles (
    checksum TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    -- Counts the uploads of this name: the highest is the current one.
    generation BIGINT NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    api TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    uploaded BIGINT NOT NULL,
    size BIGINT NOT NULL,
    archive BYTEA NOT NULL,
    UNIQUE (name, generation)
);

CREATE TABLE gateway_secrets (
    name TEXT COLLATE "C" PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

-- A plugin instance as it is at a time: a bundle with a configuration. A session keeps the one that it began with, so
-- a revision stays for as long as the end of a session may be owed to it. The configuration may hold secrets, so it
-- is sealed with a key that lies beside the database, and told from others by a keyed hash.
CREATE TABLE plugin_revisions (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    instance TEXT COLLATE "C" NOT NULL,
    bundle TEXT COLLATE "C" NOT NULL,
    checksum TEXT COLLATE "C" NOT NULL,
    environment TEXT COLLATE "C" NOT NULL,
    configuration BYTEA NOT NULL,
    configuration_hash TEXT COLLATE "C" NOT NULL,
    made BIGINT NOT NULL
);
CREATE INDEX plugin_revisions_instance ON plugin_revisions (instance, id);

-- What the gateway makes of each plugin instance of its policy: written by it, read by commands beside it.
CREATE TABLE plugin_status (
    instance TEXT COLLATE "C" PRIMARY KEY,
    -- The bundle that the policy names.
    bundle TEXT COLLATE "C" NOT NULL,
    -- What serves the sessions to come. NULL: nothing does, and they are refused.
    checksum TEXT COLLATE "C",
    -- What was refused since, and why. NULL: nothing.
    refused TEXT COLLATE "C",
    reason TEXT COLLATE "C",
    CHECK ((refused IS NULL) = (reason IS NULL))
);

-- Why a recording was deleted. Written first, then the file goes, then `done` says so.
CREATE TABLE trail_deletions (
    session TEXT COLLATE "C" PRIMARY KEY REFERENCES sessions (id),
    decided BIGINT NOT NULL,
    cause TEXT COLLATE "C" NOT NULL CHECK (cause IN ('age', 'size', 'hand')),
    reason TEXT COLLATE "C" NOT NULL,
    -- The user of the system; NULL: the gateway by itself.
    who TEXT COLLATE "C",
    -- Whether the file was as the ledger has it when that was decided.
    as_closed BOOLEAN NOT NULL,
    -- When the file was gone; NULL: the gateway has to see to that.
    done BIGINT
);
CREATE INDEX trail_deletions_unfinished ON trail_deletions (decided) WHERE done IS NULL;

-- Why a recording must be kept whatever its age. Rows stay when the hold is released.
CREATE TABLE trail_holds (
    session TEXT COLLATE "C" NOT NULL REFERENCES sessions (id),
    n BIGINT NOT NULL,
    placed BIGINT NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    who TEXT COLLATE "C" NOT NULL,
    -- NULL: it holds.
    released BIGINT,
    release_reason TEXT COLLATE "C",
    released_by TEXT COLLATE "C",
    PRIMARY KEY (session, n),
    CHECK ((released IS NULL) = (released_by IS NULL))
);
CREATE INDEX trail_holds_active ON trail_holds (session) WHERE released IS NULL;

-- When a node last looked for recordings to delete, by a clock that was believed: one that has jumped since is not.
CREATE TABLE retention_looks (
    node TEXT COLLATE "C" PRIMARY KEY,
    looked BIGINT NOT NULL
);

-- Open sessions that somebody wants ended: the gateway that has them sees to that.
CREATE TABLE terminations (
    session TEXT COLLATE "C" PRIMARY KEY REFERENCES sessions (id),
    ordered BIGINT NOT NULL,
    -- The user of the system.
    who TEXT COLLATE "C" NOT NULL,
    -- For the person whose session it is; NULL: none.
    message TEXT COLLATE "C",
    -- When the gateway has told the session to end; NULL: that is still to be done.
    taken BIGINT
);
CREATE INDEX terminations_waiting ON terminations (ordered) WHERE taken IS NULL;

-- Where finished recordings are in an object store. Written when the store has the whole of it, and has said so.
CREATE TABLE trail_objects (
    session TEXT COLLATE "C" PRIMARY KEY REFERENCES sessions (id),
    -- Endpoint and bucket.
    store TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    -- As the store says; NULL: its bucket has no versions.
    version TEXT COLLATE "C",
    etag TEXT COLLATE "C" NOT NULL,
    length BIGINT NOT NULL,
    -- Of the file that was sent, in hexadecimal digits.
    sha256 TEXT COLLATE "C" NOT NULL,
    stored BIGINT NOT NULL,
    -- Of the file on the disk: `going` is written before it is removed, `gone` afterwards.
    file TEXT COLLATE "C" NOT NULL CHECK (file IN ('kept', 'going', 'gone'))
);
CREATE INDEX trail_objects_files ON trail_objects (stored) WHERE file <> 'gone';

-- Pieces of recordings in an object store that does not have the whole yet. A row is written before its piece is sent, so
-- that nothing is in the store of which the ledger does not know.
CREATE TABLE trail_parts (
    session TEXT COLLATE "C" NOT NULL REFERENCES sessions (id),
    -- From 1; each begins where the one before ends.
    number BIGINT NOT NULL,
    -- Endpoint and bucket.
    store TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    -- As the store says; NULL: its bucket has no versions.
    version TEXT COLLATE "C",
    length BIGINT NOT NULL,
    -- Of the piece, in hexadecimal digits.
    sha256 TEXT COLLATE "C" NOT NULL,
    -- NULL: it is on its way, or was when the gateway died.
    stored BIGINT,
    PRIMARY KEY (session, number)
);
