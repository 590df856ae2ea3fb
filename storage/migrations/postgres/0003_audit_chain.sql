-- +goose Up

-- Rows are inserted with seq 0 and sealed a moment later, in order, by one node.
ALTER TABLE audit ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE audit ADD COLUMN hash BYTEA;
ALTER TABLE audit ADD COLUMN key_id TEXT NOT NULL DEFAULT '';
CREATE INDEX audit_unsealed ON audit (application, id) WHERE seq = 0;
CREATE UNIQUE INDEX audit_seq ON audit (application, seq) WHERE seq <> 0;

-- The two ends of each chain: the last row that was sealed, and the last one
-- that retention took away.
CREATE TABLE audit_chains (
    application TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    head_seq    BIGINT NOT NULL,
    head_hash   BYTEA NOT NULL,
    anchor_seq  BIGINT NOT NULL,
    anchor_hash BYTEA NOT NULL,
    key_id      TEXT NOT NULL,
    mac         BYTEA NOT NULL
);
