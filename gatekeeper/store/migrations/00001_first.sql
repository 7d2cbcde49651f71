-- +goose Up
-- A request is one document; the columns beside it are what it is found by.
CREATE TABLE requests (
  id          TEXT PRIMARY KEY,
  binding     TEXT NOT NULL,
  repository  TEXT NOT NULL,
  environment TEXT NOT NULL,
  rule        TEXT NOT NULL,
  state       TEXT NOT NULL,
  version     INTEGER NOT NULL,
  created_at  INTEGER NOT NULL, -- unix nanoseconds, as all times here
  doc         TEXT NOT NULL
) STRICT;
CREATE INDEX requests_binding ON requests (binding, created_at);
CREATE INDEX requests_pending ON requests (repository) WHERE state = 'pending';
CREATE INDEX requests_created ON requests (created_at);

-- A token's jti is bound to its bytes until it expires.
CREATE TABLE tokens (
  key     TEXT PRIMARY KEY,
  hash    TEXT NOT NULL,
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_expires ON tokens (expires);

-- What is to be done after a transaction, merged by kind and key.
CREATE TABLE work (
  kind       TEXT NOT NULL,
  key        TEXT NOT NULL,
  payload    TEXT,
  run_at     INTEGER NOT NULL,
  generation INTEGER NOT NULL DEFAULT 1,
  attempts   INTEGER NOT NULL DEFAULT 0,
  leased     INTEGER NOT NULL DEFAULT 0,
  last_error TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX work_due ON work (run_at) WHERE leased = 0;

-- References to what lives at vendors, e.g. the message of a request.
CREATE TABLE notes (
  kind  TEXT NOT NULL,
  key   TEXT NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

-- The ledger: events by index without gaps, the Merkle tree's stored hashes,
-- and the signed checkpoint of each transaction.
CREATE TABLE ledger_events (
  idx     INTEGER PRIMARY KEY,
  id      TEXT NOT NULL UNIQUE,
  type    TEXT NOT NULL,
  request TEXT NOT NULL,
  time    INTEGER NOT NULL,
  body    BLOB NOT NULL
) STRICT;
CREATE INDEX ledger_events_request ON ledger_events (request) WHERE request <> '';
CREATE INDEX ledger_events_time ON ledger_events (time);
CREATE TABLE ledger_hashes (
  idx  INTEGER PRIMARY KEY,
  hash BLOB NOT NULL
) STRICT;
CREATE TABLE ledger_checkpoints (
  size INTEGER PRIMARY KEY,
  note TEXT NOT NULL
) STRICT;

-- +goose Down
DROP TABLE ledger_checkpoints;
DROP TABLE ledger_hashes;
DROP TABLE ledger_events;
DROP TABLE notes;
DROP TABLE work;
DROP TABLE tokens;
DROP TABLE requests;
