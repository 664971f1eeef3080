-- How a session's recording ended, so that one that was cut back or replaced later is told from it.
-- The public key of the node that signs it.
ALTER TABLE sessions ADD COLUMN trail_signer TEXT;
-- Its verdict and reason, or why it has no end; NULL: not closed yet.
ALTER TABLE sessions ADD COLUMN trail_end TEXT;
-- The last link of its chain, and its length in bytes; NULL: not known.
ALTER TABLE sessions ADD COLUMN trail_link TEXT;
ALTER TABLE sessions ADD COLUMN trail_length BIGINT;
CREATE INDEX sessions_trail ON sessions (trail) WHERE trail IS NOT NULL;
