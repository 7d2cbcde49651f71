-- +goose Up
-- What is in hand is found without looking at all that waits.
CREATE INDEX work_leased ON work (lease_until) WHERE leased = 1;
INSERT INTO schema_needs (version, needs) VALUES (10, 1);

-- +goose Down
DELETE FROM schema_needs WHERE version = 10;
DROP INDEX work_leased;
