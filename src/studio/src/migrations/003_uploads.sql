-- A recording that was sent in; `body` is the whole upload as listed.
CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    created_at TEXT NOT NULL,
    file_name TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL
);
