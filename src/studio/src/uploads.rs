//! Recordings that were sent in: written under a temporary name, looked at, and only then recorded.
//! They have ids like songs; no path of the disk crosses the wire. Old ones are removed, see
//! [`UPLOAD_KEPT_DAYS`].

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use acestep_domain::{
    GenerationParams, UserError,
    library::{
        FoundSettings, MAX_UPLOAD_BYTES, MAX_UPLOADS_BYTES, UPLOAD_KEPT_DAYS, Upload, UploadList,
    },
};
use acestep_engine::audio::decode::{self, Fault, Limit};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    error::{Error, Result},
    jobs::{self, from_json, to_json},
    paths::{PART_PREFIX, Paths},
    settings_file::settings_in,
    song_file::PEAKS,
    store::Store,
};

/// Longest name that is kept.
const LONGEST_NAME: usize = 200;

/// The uploads of the output folder.
#[derive(Debug)]
pub(crate) struct Uploads {
    store: Arc<Store>,
    paths: Paths,
    /// Largest sum of all that is kept, and of all that is on its way.
    most_bytes: u64,
    /// Bytes of files that are on their way.
    arriving: AtomicU64,
}

/// An upload and the name of its file.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) upload: Upload,
    pub(crate) file_name: String,
}

/// A file that is being sent in. Dropped before it is finished, it is removed.
#[derive(Debug)]
pub struct Incoming {
    uploads: Arc<Uploads>,
    id: String,
    name: String,
    path: PathBuf,
    file: File,
    bytes: u64,
    kept: bool,
}

/// A failure about the file that is sent.
fn refused(code: &str, message: String, hint: &str) -> Error {
    UserError {
        field: Some("file".to_owned()),
        ..UserError::new(code, message, hint)
    }
    .into()
}

/// All uploads together are over the limit.
fn full(most_bytes: u64) -> Error {
    refused(
        "uploads_full",
        format!(
            "With this file the uploads would be larger than {} MB together.",
            most_bytes >> 20
        ),
        "Delete some of the uploads, or wait: each is removed after seven days.",
    )
}

/// The refusal of a file over the limit.
pub fn too_large() -> UserError {
    UserError {
        field: Some("file".to_owned()),
        ..UserError::new(
            "too_large",
            format!("The file is larger than {} MB.", MAX_UPLOAD_BYTES >> 20),
            "Send it as flac, mp3, ogg or m4a, or cut out the part that is meant.",
        )
    }
}

impl Uploads {
    /// Opens the folder; files that nothing is recorded of are removed, and old uploads.
    pub(crate) fn open(store: Arc<Store>, paths: Paths) -> Result<Self> {
        let folder = paths.uploads_dir();
        let uploads = Self {
            store,
            paths,
            most_bytes: MAX_UPLOADS_BYTES,
            arriving: AtomicU64::new(0),
        };
        uploads.expire(Timestamp::now())?;
        if !folder.is_dir() {
            return Ok(uploads);
        }
        let known: HashSet<String> = uploads.store.read(|db| {
            let mut statement = db.prepare_cached("SELECT file_name FROM uploads")?;
            let names = statement.query_map([], |row| row.get(0))?;
            Ok(names.collect::<rusqlite::Result<_>>()?)
        })?;
        let reading = "Reading the folder of uploads";
        for entry in fs::read_dir(&folder).map_err(Error::file(reading))? {
            let entry = entry.map_err(Error::file(reading))?;
            if !known.contains(&*entry.file_name().to_string_lossy()) && entry.path().is_file() {
                fs::remove_file(entry.path()).map_err(Error::file("Removing an upload"))?;
            }
        }
        Ok(uploads)
    }

    /// Begins to take a file in.
    pub(crate) fn begin(self: &Arc<Self>, name: &str) -> Result<Incoming> {
        self.expire(Timestamp::now())?;
        fs::create_dir_all(self.paths.uploads_dir())
            .map_err(Error::file("Creating the folder of uploads"))?;
        let id = uuid::Uuid::now_v7().to_string();
        let path = self.paths.upload(&format!("{PART_PREFIX}{id}"));
        let file = File::create(&path).map_err(Error::file("Writing the upload"))?;
        Ok(Incoming {
            uploads: Arc::clone(self),
            id,
            name: shown_name(name),
            path,
            file,
            bytes: 0,
            kept: false,
        })
    }

    /// The upload, refused when its file is gone.
    pub(crate) fn present(&self, id: &str) -> Result<Kept> {
        self.find(id)?
            .filter(|kept| self.paths.upload(&kept.file_name).is_file())
            .ok_or_else(|| no_upload(id))
    }

    pub(crate) fn find(&self, id: &str) -> Result<Option<Kept>> {
        self.store.read(|db| {
            let found: Option<(String, String)> = db
                .prepare_cached("SELECT body, file_name FROM uploads WHERE id = ?1")?
                .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            found
                .map(|(body, file_name)| {
                    Ok(Kept {
                        upload: from_json(&body)?,
                        file_name,
                    })
                })
                .transpose()
        })
    }

    pub(crate) fn list(&self) -> Result<UploadList> {
        let uploads = self.store.read(all)?;
        Ok(UploadList { uploads })
    }

    /// Removes an upload, whether its file is there or not; refused while a job needs it.
    pub(crate) fn remove(&self, id: &str) -> Result<()> {
        let kept = self.find(id)?.ok_or_else(|| no_upload(id))?;
        self.store.write(|db| {
            jobs::refuse_if_needed(db, id, &kept.upload.name)?;
            self.forget(db, id, &kept.file_name)
        })
    }

    /// The row, then the file: where that cannot be removed, the row is not either.
    fn forget(&self, db: &Connection, id: &str, file_name: &str) -> Result<()> {
        db.prepare_cached("DELETE FROM uploads WHERE id = ?1")?
            .execute([id])?;
        match fs::remove_file(self.paths.upload(file_name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::file("Removing an upload")(error))
            }
            _ => Ok(()),
        }
    }

    /// Removes what is older than it is kept and needed by no job.
    pub(crate) fn expire(&self, now: Timestamp) -> Result<()> {
        let Ok(before) = now.checked_sub(kept_for()) else {
            return Ok(());
        };
        let old: Vec<(String, String)> = self.store.read(|db| {
            let mut statement =
                db.prepare_cached("SELECT id, file_name FROM uploads WHERE created_at < ?1")?;
            let rows =
                statement.query_map([before.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })?;
        for (id, file_name) in old {
            self.store.write(|db| {
                if jobs::need(db, &id)? {
                    return Ok(());
                }
                self.forget(db, &id, &file_name)
            })?;
        }
        Ok(())
    }
}

fn no_upload(id: &str) -> Error {
    Error::NotFound {
        what: "upload",
        id: id.to_owned(),
    }
}

/// All that are kept, newest first.
fn all(db: &Connection) -> Result<Vec<Upload>> {
    let mut statement = db.prepare_cached("SELECT body FROM uploads ORDER BY rowid DESC")?;
    let mut rows = statement.query([])?;
    let mut uploads = Vec::new();
    while let Some(row) = rows.next()? {
        uploads.push(from_json(&row.get::<_, String>(0)?)?);
    }
    Ok(uploads)
}

fn kept_for() -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(UPLOAD_KEPT_DAYS))
}

impl Incoming {
    /// Appends what has come.
    ///
    /// # Errors
    /// When the file is over the limit or the disk refuses.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let more = bytes.len() as u64;
        self.bytes += more;
        let arriving = self.uploads.arriving.fetch_add(more, Ordering::Relaxed) + more;
        if self.bytes > MAX_UPLOAD_BYTES {
            return Err(too_large().into());
        }
        // What is kept already counts when the file is to be kept too: one with settings never is.
        if arriving > self.uploads.most_bytes {
            return Err(full(self.uploads.most_bytes));
        }
        self.file
            .write_all(bytes)
            .map_err(Error::file("Writing the upload"))
    }

    /// Looks for settings in the file, over `base`; the file is not kept.
    ///
    /// # Errors
    /// When there are none in it.
    pub(crate) fn settings(mut self, base: GenerationParams) -> Result<FoundSettings> {
        self.file
            .flush()
            .map_err(Error::file("Writing the upload"))?;
        settings_in(&self.path, &self.name, base)
    }

    /// Looks at the whole file and keeps it. Takes as long as decoding does.
    ///
    /// # Errors
    /// When it is no sound that can be used: unreadable, empty, silent or too long.
    pub fn finish(mut self) -> Result<Upload> {
        let writing = "Writing the upload";
        self.file.sync_all().map_err(Error::file(writing))?;
        if self.bytes == 0 {
            return Err(refused(
                "invalid_audio",
                format!("{}: the file is empty.", self.name),
                "Send a recording.",
            ));
        }
        let seen = decode::inspect(&self.path, Limit::song(), PEAKS).map_err(|fault| {
            // The path is nobody's business, and the reason holds none.
            refused(
                "invalid_audio",
                format!("{}: {fault}.", self.name),
                fault.hint(),
            )
        })?;
        let now = Timestamp::now();
        let (media_type, extension) = kind_of(&self.path)?;
        let upload = Upload {
            id: self.id.clone(),
            name: self.name.clone(),
            created_at: now.to_string(),
            expires_at: now.checked_add(kept_for()).unwrap_or(now).to_string(),
            duration_secs: seen.duration_secs,
            sample_rate_hz: seen.sample_rate_hz,
            channels: seen.channels as u16,
            size_bytes: self.bytes,
            media_type: media_type.to_owned(),
            peaks: seen.peaks,
            notes: seen.notes,
        };
        let file_name = format!("{}.{extension}", self.id);
        let path = self.uploads.paths.upload(&file_name);
        fs::rename(&self.path, &path).map_err(Error::file(writing))?;
        self.path = path;
        self.uploads.store.write(|db| {
            let kept: u64 = all(db)?.iter().map(|upload| upload.size_bytes).sum();
            if kept + upload.size_bytes > self.uploads.most_bytes {
                return Err(full(self.uploads.most_bytes));
            }
            db.prepare_cached(
                "INSERT INTO uploads (id, created_at, file_name, body) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                upload.id,
                upload.created_at,
                file_name,
                to_json(&upload)?
            ])?;
            Ok(())
        })?;
        self.kept = true;
        Ok(upload)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.uploads
            .arriving
            .fetch_sub(self.bytes, Ordering::Relaxed);
        if !self.kept {
            // What cannot be removed now is removed at the next open.
            fs::remove_file(&self.path).ok();
        }
    }
}

/// The last part of a name, without what a terminal or a page would act on.
fn shown_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown: String = last
        .chars()
        .filter(|letter| !letter.is_control())
        .take(LONGEST_NAME)
        .collect();
    let shown = shown.trim();
    if shown.is_empty() {
        "recording".to_owned()
    } else {
        shown.to_owned()
    }
}

/// Media type of what is no recording of a known kind.
pub(crate) const UNKNOWN: &str = "application/octet-stream";

/// Media type and extension by the first bytes of a file.
pub(crate) fn kind_of(path: &Path) -> Result<(&'static str, &'static str)> {
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(12).read_to_end(&mut head))
        .map_err(Error::file("Reading the upload"))?;
    Ok(match head.as_slice() {
        [b'R', b'I', b'F', b'F', ..] => ("audio/wav", "wav"),
        [b'f', b'L', b'a', b'C', ..] => ("audio/flac", "flac"),
        [b'O', b'g', b'g', b'S', ..] => ("audio/ogg", "ogg"),
        [b'I', b'D', b'3', ..] | [0xFF, 0xE0..=0xFF, ..] => ("audio/mpeg", "mp3"),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => ("audio/mp4", "m4a"),
        [b'F', b'O', b'R', b'M', ..] => ("audio/aiff", "aiff"),
        _ => (UNKNOWN, "bin"),
    })
}

/// Names a file of the studio without its path.
pub(crate) fn named(fault: Fault, name: &str) -> Error {
    acestep_engine::error::Error::Sound {
        what: name.to_owned(),
        fault,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_together_have_a_limit_and_what_is_refused_makes_room_again() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path().to_owned());
        let store = Arc::new(Store::open(&paths.library()).unwrap());
        let mut uploads = Uploads::open(store, paths).unwrap();
        uploads.most_bytes = 1000;
        let uploads = Arc::new(uploads);
        let mut first = uploads.begin("a.wav").unwrap();
        first.write(&[0; 600]).unwrap();
        let mut second = uploads.begin("b.wav").unwrap();
        let told = UserError::from(second.write(&[0; 600]).unwrap_err());
        assert_eq!(
            (told.code.as_str(), told.field.as_deref()),
            ("uploads_full", Some("file"))
        );
        drop((first, second));
        uploads.begin("c.wav").unwrap().write(&[0; 1000]).unwrap();
        assert_eq!(uploads.arriving.load(Ordering::Relaxed), 0);
    }

    /// A wav file.
    fn sound() -> Vec<u8> {
        let wave = (0..400).map(|i| (i as f32 * 0.3).sin() * 0.5);
        let audio = acestep_engine::audio::Audio {
            channels: vec![wave.collect()],
            sample_rate_hz: 8000,
        };
        let format = acestep_domain::generation::AudioFormat::Wav;
        acestep_engine::audio::encode::encode(&audio, format).unwrap()
    }

    #[test]
    fn what_is_sent_at_once_is_held_against_the_limit_together_and_settings_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path().to_owned());
        let store = Arc::new(Store::open(&paths.library()).unwrap());
        let mut uploads = Uploads::open(store, paths).unwrap();
        // For one, but not for two.
        uploads.most_bytes = 2 * sound().len() as u64 - 1;
        let uploads = Arc::new(uploads);
        let mut first = uploads.begin("a.wav").unwrap();
        let mut second = uploads.begin("b.wav").unwrap();
        first.write(&sound()).unwrap();
        first.finish().unwrap();
        second.write(&sound()).unwrap();
        let told = UserError::from(second.finish().unwrap_err());
        assert_eq!(told.code, "uploads_full");
        let files = fs::read_dir(uploads.paths.uploads_dir()).unwrap().count();
        assert_eq!((files, uploads.list().unwrap().uploads.len()), (1, 1));

        let mut settings = uploads.begin("song.json").unwrap();
        let text = format!(r#"{{ "caption": "{}" }}"#, "rain ".repeat(200));
        settings.write(text.as_bytes()).unwrap();
        let found = settings.settings(GenerationParams::default()).unwrap();
        assert!(found.params.caption.starts_with("rain"));
    }

    #[test]
    fn names_keep_their_letters_and_lose_their_folders() {
        for (sent, shown) in [
            ("C:\\Users\\me\\müsic 音.wav", "müsic 音.wav"),
            ("../../etc/passwd", "passwd"),
            ("a\r\nSet-Cookie: x.mp3", "aSet-Cookie: x.mp3"),
            ("  ", "recording"),
            ("", "recording"),
        ] {
            assert_eq!(shown_name(sent), shown);
        }
        assert_eq!(shown_name(&"é".repeat(500)).chars().count(), LONGEST_NAME);
    }
}
