-- +goose Up
-- Inboxes and pages list requests by state, newest first.
CREATE INDEX requests_state ON requests (state, created_at);

-- +goose Down
DROP INDEX requests_state;
