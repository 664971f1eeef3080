-- The policy documents that the gateway was told to run by, one for each change.
CREATE TABLE configurations (
    -- 1, 2, 3: without a gap.
    number BIGINT PRIMARY KEY,
    made BIGINT NOT NULL,
    author TEXT COLLATE "C" NOT NULL,
    comment TEXT COLLATE "C",
    -- Sealed.
    document BYTEA NOT NULL,
    -- When the gateway took it; NULL: it has not. Of those that it took, the one with the highest number is in force.
    in_force_since BIGINT,
    -- Why the gateway has not taken it, after it tried.
    refused TEXT COLLATE "C"
);
