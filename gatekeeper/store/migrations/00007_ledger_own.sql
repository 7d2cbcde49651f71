-- +goose Up
-- What the ledger says of itself, e.g. rotations of its key, is looked up for
-- each proof; there are few of them among millions.
CREATE INDEX ledger_events_own ON ledger_events (type, idx) WHERE type >= 'ledger.' AND type < 'ledger/';

-- +goose Down
DROP INDEX ledger_events_own;
