-- Where finished recordings are in an object store. Written when the store has the whole of it, and has said so.
CREATE TABLE trail_objects (
    session TEXT PRIMARY KEY REFERENCES sessions (id),
    -- Endpoint and bucket.
    store TEXT NOT NULL,
    key TEXT NOT NULL,
    -- As the store says; NULL: its bucket has no versions.
    version TEXT,
    etag TEXT NOT NULL,
    length BIGINT NOT NULL,
    -- Of the file that was sent, in hexadecimal digits.
    sha256 TEXT NOT NULL,
    stored BIGINT NOT NULL,
    -- Of the file on the disk: `going` is written before it is removed, `gone` afterwards.
    file TEXT NOT NULL CHECK (file IN ('kept', 'going', 'gone'))
);
CREATE INDEX trail_objects_files ON trail_objects (stored) WHERE file <> 'gone';
-- Finished recordings, for those that no store has yet.
CREATE INDEX sessions_closed_trails ON sessions (ended) WHERE trail_link IS NOT NULL AND trail_deleted IS NULL;
