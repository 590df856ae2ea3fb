-- +goose Up

-- Hashes of former passwords, where an application's policy asks for a history.
-- The present one stands in accounts; generation is the one it was good in.
CREATE TABLE password_history (
    application   TEXT COLLATE "C" NOT NULL,
    id            TEXT COLLATE "C" NOT NULL,
    account_id    TEXT COLLATE "C" NOT NULL,
    generation    BIGINT NOT NULL,
    password_hash TEXT NOT NULL,
    PRIMARY KEY (application, id)
);
CREATE UNIQUE INDEX password_history_account ON password_history (account_id, application, generation);
