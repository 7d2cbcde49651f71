-- +goose Up
-- The same tables as SQLite's. Texts that things are found by compare by their
-- bytes, as they do there.
CREATE TABLE requests (
  id          TEXT COLLATE "C" PRIMARY KEY,
  binding     TEXT COLLATE "C" NOT NULL,
  repository  TEXT COLLATE "C" NOT NULL,
  environment TEXT COLLATE "C" NOT NULL,
  rule        TEXT COLLATE "C" NOT NULL,
  state       TEXT COLLATE "C" NOT NULL,
  version     BIGINT NOT NULL,
  created_at  BIGINT NOT NULL, -- unix nanoseconds, as all times here
  doc         TEXT NOT NULL    -- not jsonb, which spells numbers anew
);
CREATE INDEX requests_binding ON requests (binding, created_at);
CREATE INDEX requests_pending ON requests (repository) WHERE state = 'pending';
CREATE INDEX requests_created ON requests (created_at);
CREATE INDEX requests_state ON requests (state, created_at);

CREATE TABLE tokens (
  key     TEXT COLLATE "C" PRIMARY KEY,
  hash    TEXT NOT NULL,
  expires BIGINT NOT NULL
);
CREATE INDEX tokens_expires ON tokens (expires);

CREATE TABLE work (
  kind        TEXT COLLATE "C" NOT NULL,
  key         TEXT COLLATE "C" NOT NULL,
  payload     TEXT,
  run_at      BIGINT NOT NULL,
  generation  BIGINT NOT NULL DEFAULT 1,
  attempts    BIGINT NOT NULL DEFAULT 0,
  leased      INTEGER NOT NULL DEFAULT 0,
  lease_until BIGINT NOT NULL DEFAULT 0,
  holder      TEXT NOT NULL DEFAULT '',
  last_error  TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (kind, key)
);
CREATE INDEX work_due ON work (run_at) WHERE leased = 0;

CREATE TABLE notes (
  kind  TEXT COLLATE "C" NOT NULL,
  key   TEXT COLLATE "C" NOT NULL,
  value BYTEA NOT NULL,
  PRIMARY KEY (kind, key)
);

CREATE TABLE ledger_events (
  idx     BIGINT PRIMARY KEY,
  id      TEXT COLLATE "C" NOT NULL UNIQUE,
  type    TEXT COLLATE "C" NOT NULL,
  request TEXT COLLATE "C" NOT NULL,
  time    BIGINT NOT NULL,
  body    BYTEA NOT NULL
);
CREATE INDEX ledger_events_request ON ledger_events (request, idx);
CREATE INDEX ledger_events_time ON ledger_events (time);
CREATE INDEX ledger_events_own ON ledger_events (type, idx) WHERE type >= 'ledger.' AND type < 'ledger/';
CREATE TABLE ledger_hashes (
  idx  BIGINT PRIMARY KEY,
  hash BYTEA NOT NULL
);
CREATE TABLE ledger_checkpoints (
  size BIGINT PRIMARY KEY,
  note TEXT NOT NULL
);

-- +goose Down
DROP TABLE ledger_checkpoints;
DROP TABLE ledger_hashes;
DROP TABLE ledger_events;
DROP TABLE notes;
DROP TABLE work;
DROP TABLE tokens;
DROP TABLE requests;
