-- What is not over, or ended unseen, is looked for whenever the page is told of the queue.
CREATE INDEX jobs_to_be_seen ON jobs (dismissed) WHERE state <> 'done';
