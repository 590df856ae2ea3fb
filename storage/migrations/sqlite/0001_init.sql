-- +goose Up

-- A query meets a partial index only with the states written out in its text as
-- they are here; with states as parameters the planner cannot use it.

CREATE TABLE applications (
    slug       TEXT NOT NULL PRIMARY KEY,
    version    BIGINT NOT NULL,
    doc        TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE application_hosts (
    host        TEXT NOT NULL PRIMARY KEY,
    application TEXT NOT NULL
);
CREATE INDEX application_hosts_application ON application_hosts (application);

CREATE TABLE api_keys (
    application     TEXT NOT NULL,
    id              TEXT NOT NULL,
    name            TEXT NOT NULL DEFAULT '',
    type            TEXT NOT NULL,
    permissions     TEXT NOT NULL DEFAULT '[]',
    allowed_origins TEXT NOT NULL DEFAULT '[]',
    prefix          TEXT NOT NULL,
    last_four       TEXT NOT NULL,
    hash            BLOB NOT NULL,
    created_at      BIGINT NOT NULL,
    revoked_at      BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (application, id)
);
CREATE UNIQUE INDEX api_keys_hash ON api_keys (hash);

CREATE TABLE requests (
    application       TEXT NOT NULL,
    id                TEXT NOT NULL,
    flow              TEXT NOT NULL,
    origin            TEXT NOT NULL,
    state             TEXT NOT NULL,
    version           BIGINT NOT NULL,
    email             TEXT NOT NULL DEFAULT '',
    account_id        TEXT NOT NULL DEFAULT '',
    generation        BLOB,
    key_id            TEXT NOT NULL DEFAULT '',
    code_hash         BLOB,
    sends             BIGINT NOT NULL DEFAULT 0,
    link_sent         BOOLEAN NOT NULL DEFAULT FALSE,
    attempts          BIGINT NOT NULL DEFAULT 0,
    max_attempts      BIGINT NOT NULL DEFAULT 0,
    locale            TEXT NOT NULL DEFAULT '',
    redirect_url      TEXT NOT NULL DEFAULT '',
    client_ip         TEXT NOT NULL DEFAULT '',
    user_agent        TEXT NOT NULL DEFAULT '',
    actor             TEXT NOT NULL DEFAULT '',
    reason            TEXT NOT NULL DEFAULT '',
    created_at        BIGINT NOT NULL,
    expires_at        BIGINT NOT NULL,
    completed_at      BIGINT NOT NULL DEFAULT 0,
    moved_at          BIGINT NOT NULL DEFAULT 0, -- when the state last changed: how long it has been applying
    ended_at          BIGINT NOT NULL DEFAULT 0, -- when a final state was reached: what pruning goes by
    skip_confirmation BOOLEAN NOT NULL DEFAULT FALSE,
    sealed_hash       BLOB,
    auth_session      BOOLEAN NOT NULL DEFAULT FALSE,
    auth_session_used BIGINT NOT NULL DEFAULT 0,
    disowned_at       BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (application, id)
);
-- Primary keys lead with the application; other indexes lead with what tells rows
-- apart. Led by the application they look as good as the primary key to a planner
-- without statistics, which then reads all rows of the application.
CREATE UNIQUE INDEX requests_live ON requests (account_id, application, origin)
    WHERE state IN ('challenged', 'locked') AND account_id <> '';
CREATE UNIQUE INDEX requests_code ON requests (code_hash, application) WHERE code_hash IS NOT NULL;
CREATE INDEX requests_overdue ON requests (expires_at)
    WHERE state IN ('requested', 'challenged', 'decoy', 'locked');
CREATE INDEX requests_applying ON requests (moved_at) WHERE state = 'applying';
CREATE INDEX requests_email ON requests (email, application, id);
CREATE INDEX requests_ended ON requests (ended_at) WHERE ended_at > 0;

CREATE TABLE messages (
    application TEXT NOT NULL,
    id          TEXT NOT NULL,
    request_id  TEXT NOT NULL DEFAULT '',
    account_id  TEXT NOT NULL DEFAULT '',
    kind        TEXT NOT NULL,
    state       TEXT NOT NULL,
    send        BIGINT NOT NULL DEFAULT 0,
    with_link   BOOLEAN NOT NULL DEFAULT FALSE,
    no_code     BOOLEAN NOT NULL DEFAULT FALSE,
    recipient   TEXT NOT NULL,
    name        TEXT NOT NULL DEFAULT '',
    locale      TEXT NOT NULL DEFAULT '',
    ended       BIGINT NOT NULL DEFAULT 0,
    device      TEXT NOT NULL DEFAULT '',
    place       TEXT NOT NULL DEFAULT '',
    attempts    BIGINT NOT NULL DEFAULT 0,
    last_reply  TEXT NOT NULL DEFAULT '',
    next_try    BIGINT NOT NULL DEFAULT 0,
    created_at  BIGINT NOT NULL,
    sent_at     BIGINT NOT NULL DEFAULT 0,
    expires_at  BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (application, id)
);
CREATE INDEX messages_request ON messages (request_id, application);

CREATE TABLE audit (
    application TEXT NOT NULL,
    id          TEXT NOT NULL,
    at          BIGINT NOT NULL,
    event       TEXT NOT NULL,
    request_id  TEXT NOT NULL DEFAULT '',
    account_id  TEXT NOT NULL DEFAULT '',
    actor       TEXT NOT NULL DEFAULT '',
    client_ip   TEXT NOT NULL DEFAULT '',
    move        TEXT NOT NULL DEFAULT '',
    from_state  TEXT NOT NULL DEFAULT '',
    to_state    TEXT NOT NULL DEFAULT '',
    cause       TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (application, id)
);
CREATE INDEX audit_request ON audit (request_id, application) WHERE request_id <> '';

CREATE TABLE limits (
    application TEXT NOT NULL,
    name        TEXT NOT NULL,
    key         TEXT NOT NULL,
    tat         BIGINT NOT NULL,
    PRIMARY KEY (application, name, key)
) WITHOUT ROWID;
CREATE INDEX limits_tat ON limits (tat);

-- The same as limits here; on PostgreSQL a crash empties it.
CREATE TABLE limits_fast (
    application TEXT NOT NULL,
    name        TEXT NOT NULL,
    key         TEXT NOT NULL,
    tat         BIGINT NOT NULL,
    PRIMARY KEY (application, name, key)
) WITHOUT ROWID;
CREATE INDEX limits_fast_tat ON limits_fast (tat);

CREATE TABLE accounts (
    application   TEXT NOT NULL,
    id            TEXT NOT NULL,
    email         TEXT NOT NULL,
    name          TEXT NOT NULL DEFAULT '',
    locale        TEXT NOT NULL DEFAULT '',
    orgs          TEXT NOT NULL DEFAULT '[]',
    disabled      BOOLEAN NOT NULL DEFAULT FALSE,
    must_reset    BOOLEAN NOT NULL DEFAULT FALSE,
    password_hash TEXT NOT NULL DEFAULT '',
    generation    BIGINT NOT NULL DEFAULT 1,
    reset_request TEXT NOT NULL DEFAULT '', -- the request that set the password last
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (application, id)
);
CREATE UNIQUE INDEX accounts_email ON accounts (email, application);

CREATE TABLE sessions (
    application  TEXT NOT NULL,
    id           TEXT NOT NULL,
    account_id   TEXT NOT NULL,
    generation   BIGINT NOT NULL,
    refresh_seq  BIGINT NOT NULL DEFAULT 0,
    created_at   BIGINT NOT NULL,
    refreshed_at BIGINT NOT NULL DEFAULT 0,
    expires_at   BIGINT NOT NULL,
    ended_at     BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (application, id)
);
CREATE INDEX sessions_account ON sessions (account_id, application) WHERE ended_at = 0;
CREATE INDEX sessions_expires ON sessions (expires_at); -- pruning goes by it
