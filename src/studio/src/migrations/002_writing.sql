-- What a job makes, and what the language model wrote for it.
ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'generate';
ALTER TABLE jobs ADD COLUMN plan TEXT;
ALTER TABLE jobs ADD COLUMN audio_codes TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN source_song_id TEXT;
ALTER TABLE jobs ADD COLUMN then_generate INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN next_job_id TEXT;
