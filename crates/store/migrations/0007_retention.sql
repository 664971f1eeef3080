-- How long recordings are kept. A session's row outlives its recording.
-- When the deletion of its recording was decided; NULL: the recording is kept.
ALTER TABLE sessions ADD COLUMN trail_deleted BIGINT;

-- Why a recording was deleted. Written first, then the file goes, then `done` says so.
CREATE TABLE trail_deletions (
    session TEXT PRIMARY KEY REFERENCES sessions (id),
    decided BIGINT NOT NULL,
    cause TEXT NOT NULL CHECK (cause IN ('age', 'size', 'hand')),
    reason TEXT NOT NULL,
    -- The user of the system; NULL: the gateway by itself.
    who TEXT,
    -- Whether the file was as the ledger has it when that was decided.
    as_closed BOOLEAN NOT NULL,
    -- When the file was gone; NULL: the gateway has to see to that.
    done BIGINT
);
CREATE INDEX trail_deletions_unfinished ON trail_deletions (decided) WHERE done IS NULL;

-- Why a recording must be kept whatever its age. Rows stay when the hold is released.
CREATE TABLE trail_holds (
    session TEXT NOT NULL REFERENCES sessions (id),
    n BIGINT NOT NULL,
    placed BIGINT NOT NULL,
    reason TEXT NOT NULL,
    who TEXT NOT NULL,
    -- NULL: it holds.
    released BIGINT,
    release_reason TEXT,
    released_by TEXT,
    PRIMARY KEY (session, n),
    CHECK ((released IS NULL) = (released_by IS NULL))
);
CREATE INDEX trail_holds_active ON trail_holds (session) WHERE released IS NULL;

-- When a node last looked for recordings to delete, by a clock that was believed: one that has jumped since is not.
CREATE TABLE retention_looks (
    node TEXT PRIMARY KEY,
    looked BIGINT NOT NULL
);

-- The recordings that are kept, the oldest first: of a connection, and all of them.
CREATE INDEX sessions_kept_of ON sessions (connection, ended, id) WHERE trail IS NOT NULL AND trail_deleted IS NULL;
CREATE INDEX sessions_kept ON sessions (ended, id) WHERE trail IS NOT NULL AND trail_deleted IS NULL;
