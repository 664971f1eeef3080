-- Open sessions that somebody wants ended: the gateway that has them sees to that.
CREATE TABLE terminations (
    session TEXT PRIMARY KEY REFERENCES sessions (id),
    ordered BIGINT NOT NULL,
    -- The user of the system.
    who TEXT NOT NULL,
    -- For the person whose session it is; NULL: none.
    message TEXT,
    -- When the gateway has told the session to end; NULL: that is still to be done.
    taken BIGINT
);
CREATE INDEX terminations_waiting ON terminations (ordered) WHERE taken IS NULL;
