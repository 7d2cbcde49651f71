-- +goose Up
-- Work in hand of a process that died is taken by another one once its lease
-- is over; only its holder ends it.
ALTER TABLE work ADD COLUMN lease_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE work ADD COLUMN holder TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE work DROP COLUMN holder;
ALTER TABLE work DROP COLUMN lease_until;
