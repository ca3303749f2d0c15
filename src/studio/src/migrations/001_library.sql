-- A job: what was asked, with everything needed to run it again.
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    created_at TEXT NOT NULL,
    params TEXT NOT NULL,
    seeds TEXT NOT NULL,
    notes TEXT NOT NULL,
    error TEXT,
    last_seq INTEGER NOT NULL DEFAULT 0
);

-- A job's log. Of its progress only the last entry is kept.
CREATE TABLE events (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    is_progress INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (job_id, seq)
) WITHOUT ROWID;

-- A song that is safe on disk; `body` is the whole song as listed, but for title and favourite.
CREATE TABLE songs (
    id TEXT PRIMARY KEY,
    job_id TEXT NOT NULL,
    item INTEGER NOT NULL,
    title TEXT NOT NULL,
    caption TEXT NOT NULL,
    favourite INTEGER NOT NULL DEFAULT 0,
    file_name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL
);
CREATE INDEX songs_by_job ON songs (job_id, item);

-- The page's form, so that a reload loses nothing.
CREATE TABLE draft (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    form TEXT NOT NULL
);
