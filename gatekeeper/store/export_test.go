package store

// Queued is how many changes wait for the writer.
func Queued(s *Store) int { return len(s.ops) }
