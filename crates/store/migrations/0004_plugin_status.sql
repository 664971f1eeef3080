-- What the gateway makes of each plugin instance of its policy: written by it, read by commands beside it.
CREATE TABLE plugin_status (
    instance TEXT PRIMARY KEY,
    -- The bundle that the policy names.
    bundle TEXT NOT NULL,
    -- What serves the sessions to come. NULL: nothing does, and they are refused.
    checksum TEXT,
    -- What was refused since, and why. NULL: nothing.
    refused TEXT,
    reason TEXT,
    CHECK ((refused IS NULL) = (reason IS NULL))
);
