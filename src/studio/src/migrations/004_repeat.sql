-- Runs that follow a run with its settings and new seeds.
ALTER TABLE jobs ADD COLUMN repeat INTEGER NOT NULL DEFAULT 0;
