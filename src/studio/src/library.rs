//! Songs as kept in the database. A song whose file is gone is not listed (it comes back when the
//! file does), and can still be deleted.

use std::sync::Arc;

use acestep_domain::library::{Song, SongList};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    error::{Error, Result},
    jobs::{from_json, to_json},
    paths::Paths,
    store::Store,
};

/// Most songs of one answer.
const LONGEST_PAGE: usize = 500;

/// Which songs to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SongFilter {
    /// At most this many (at most 500).
    pub limit: usize,
    /// Without the newest so many.
    pub offset: usize,
    /// Words that title, captions, lyrics or seed contain, all of them.
    pub query: Option<String>,
    /// Only those marked, or only those not.
    pub favourite: Option<bool>,
    /// Only those of one job.
    pub job_id: Option<String>,
}

impl Default for SongFilter {
    fn default() -> Self {
        Self {
            limit: 50,
            offset: 0,
            query: None,
            favourite: None,
            job_id: None,
        }
    }
}

/// The songs of the output folder.
#[derive(Debug)]
pub(crate) struct Library {
    store: Arc<Store>,
    paths: Paths,
}

/// A song and the name of its file.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) song: Song,
    pub(crate) file_name: String,
}

const COLUMNS: &str = "body, title, favourite, file_name";

/// Records a song whose file is in place.
pub(crate) fn insert(db: &Connection, song: &Song, file_name: &str) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO songs (id, job_id, item, title, caption, favourite, file_name, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        song.id,
        song.job_id,
        song.item as i64,
        song.title,
        song.params.caption,
        song.favourite,
        file_name,
        to_json(song)?,
    ])?;
    Ok(())
}

/// Names of the files of all songs.
pub(crate) fn file_names(db: &Connection) -> Result<Vec<String>> {
    let mut statement = db.prepare_cached("SELECT file_name FROM songs")?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

/// The name of a song's file, if the song is known.
pub(crate) fn file_name(db: &Connection, id: &str) -> Result<Option<String>> {
    Ok(db
        .prepare_cached("SELECT file_name FROM songs WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?)
}

/// Records that a song's file has another name now.
pub(crate) fn set_file_name(db: &Connection, id: &str, file_name: &str) -> Result<()> {
    db.prepare_cached("UPDATE songs SET file_name = ?2 WHERE id = ?1")?
        .execute([id, file_name])?;
    Ok(())
}

/// Forgets the song.
pub(crate) fn forget(db: &Connection, id: &str) -> Result<()> {
    db.prepare_cached("DELETE FROM songs WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Kept> {
    let mut song: Song = from_json(&row.get::<_, String>(0)?)?;
    song.title = row.get(1)?;
    song.favourite = row.get(2)?;
    Ok(Kept {
        song,
        file_name: row.get(3)?,
    })
}

/// What a search looks through.
fn searched(song: &Song) -> String {
    let (params, plan) = (&song.params, song.plan.as_ref());
    let wrote = plan.map_or(["", ""], |plan| [&plan.caption, &plan.lyrics]);
    let seed = song.seed.to_string();
    let parts = [
        &song.title,
        &params.caption,
        &params.lyrics,
        wrote[0],
        wrote[1],
        &seed,
    ];
    parts.join("\n").to_lowercase()
}

impl Library {
    pub(crate) fn new(store: Arc<Store>, paths: Paths) -> Self {
        Self { store, paths }
    }

    /// The song, whether its file is there or not.
    pub(crate) fn find(&self, id: &str) -> Result<Kept> {
        self.store.read(|db| {
            let mut statement =
                db.prepare_cached(&format!("SELECT {COLUMNS} FROM songs WHERE id = ?1"))?;
            let mut rows = statement.query([id])?;
            read(rows.next()?.ok_or_else(|| Error::no_song(id))?)
        })
    }

    /// The song, refused when its file is gone.
    pub(crate) fn present(&self, id: &str) -> Result<Kept> {
        let kept = self.find(id)?;
        if self.paths.song(&kept.file_name).is_file() {
            Ok(kept)
        } else {
            Err(Error::SongFileGone { id: id.to_owned() })
        }
    }

    /// The songs of `filter` whose files are there.
    pub(crate) fn list(&self, filter: &SongFilter) -> Result<SongList> {
        let words: Vec<String> = filter
            .query
            .as_deref()
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_lowercase)
            .collect();
        self.store.read(|db| {
            let mut statement = db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM songs
                 WHERE (?1 IS NULL OR favourite = ?1) AND (?2 IS NULL OR job_id = ?2)
                 ORDER BY rowid DESC"
            ))?;
            let mut rows = statement.query(params![filter.favourite, filter.job_id])?;
            let mut songs = Vec::new();
            let mut skipped = 0;
            while songs.len() < filter.limit.min(LONGEST_PAGE)
                && let Some(row) = rows.next()?
            {
                let kept = read(row)?;
                let text = searched(&kept.song);
                if !words.iter().all(|word| text.contains(word.as_str()))
                    || !self.paths.song(&kept.file_name).is_file()
                {
                    continue;
                }
                if skipped < filter.offset {
                    skipped += 1;
                } else {
                    songs.push(kept.song);
                }
            }
            Ok(SongList { songs })
        })
    }

    /// Changes title or mark.
    pub(crate) fn update(
        &self,
        id: &str,
        title: Option<&str>,
        favourite: Option<bool>,
    ) -> Result<Song> {
        self.store.write(|db| {
            db.prepare_cached(
                "UPDATE songs SET title = COALESCE(?2, title), favourite = COALESCE(?3, favourite)
                 WHERE id = ?1",
            )?
            .execute(params![id, title, favourite])?;
            Ok(())
        })?;
        Ok(self.find(id)?.song)
    }

    /// Keeps what was found out about the song; title and mark stay as they are.
    pub(crate) fn replace(&self, song: &Song) -> Result<()> {
        self.store.write(|db| {
            db.prepare_cached("UPDATE songs SET body = ?2 WHERE id = ?1")?
                .execute(params![song.id, to_json(song)?])?;
            Ok(())
        })
    }

    pub(crate) fn draft(&self) -> Result<Option<serde_json::Value>> {
        self.store.read(|db| {
            let form: Option<String> = db
                .prepare_cached("SELECT form FROM draft WHERE id = 1")?
                .query_row([], |row| row.get(0))
                .optional()?;
            form.map(|text| from_json(&text)).transpose()
        })
    }

    pub(crate) fn save_draft(&self, form: &serde_json::Value) -> Result<()> {
        self.store.write(|db| {
            db.prepare_cached("INSERT OR REPLACE INTO draft (id, form) VALUES (1, ?1)")?
                .execute([to_json(form)?])?;
            Ok(())
        })
    }
}
