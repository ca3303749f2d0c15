-- How a run ended stays in view until it is put away; what ended before is not brought up again.
ALTER TABLE jobs ADD COLUMN dismissed INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET dismissed = 1 WHERE state NOT IN ('queued', 'running');
