-- +goose Up
-- Each migration from here on says which schema a program has to know at least
-- to go on after it, so that an older one can tell whether it may serve.
CREATE TABLE schema_needs (
  version INTEGER PRIMARY KEY,
  needs   INTEGER NOT NULL
) STRICT;
INSERT INTO schema_needs (version, needs) VALUES (9, 1);

-- +goose Down
DROP TABLE schema_needs;
