-- +goose Up
-- Each migration from here on says which schema a program has to know at least
-- to go on after it, so that an older one can tell whether it may serve. The
-- numbers are SQLite's, from here on.
CREATE TABLE schema_needs (
  version BIGINT PRIMARY KEY,
  needs   BIGINT NOT NULL
);
INSERT INTO schema_needs (version, needs) VALUES (9, 1);

-- +goose Down
DROP TABLE schema_needs;
