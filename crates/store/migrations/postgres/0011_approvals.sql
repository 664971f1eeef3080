-- Sessions that wait, or have waited, for somebody to let them go on.
CREATE TABLE approvals (
    session TEXT COLLATE "C" PRIMARY KEY REFERENCES sessions (id),
    asked BIGINT NOT NULL,
    -- When the gateway stops waiting.
    until BIGINT NOT NULL,
    -- NULL: nobody has decided, and the session waits or has ended.
    decided BIGINT,
    approved BOOLEAN,
    -- Who has decided; NULL with `decided`: nobody did in time.
    who TEXT COLLATE "C",
    comment TEXT COLLATE "C"
);
CREATE INDEX approvals_waiting ON approvals (asked) WHERE decided IS NULL;
