-- Pieces of recordings in an object store that does not have the whole yet. A row is written before its piece is sent, so
-- that nothing is in the store of which the ledger does not know.
CREATE TABLE trail_parts (
    session TEXT NOT NULL REFERENCES sessions (id),
    -- From 1; each begins where the one before ends.
    number BIGINT NOT NULL,
    -- Endpoint and bucket.
    store TEXT NOT NULL,
    key TEXT NOT NULL,
    -- As the store says; NULL: its bucket has no versions.
    version TEXT,
    length BIGINT NOT NULL,
    -- Of the piece, in hexadecimal digits.
    sha256 TEXT NOT NULL,
    -- NULL: it is on its way, or was when the gateway died.
    stored BIGINT,
    PRIMARY KEY (session, number)
);
