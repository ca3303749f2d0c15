//! Songs and the page's form.

use std::path::PathBuf;

use acestep_domain::{
    UserError,
    generation::AudioFormat,
    library::{Song, SongList},
};
use serde_json::Value;

use super::Studio;
use crate::{
    error::Result,
    jobs,
    library::{self, SongFilter},
    song_file,
};

/// Longest title that is kept.
const LONGEST_TITLE: usize = 200;

impl Studio {
    /// Songs, newest first; those whose files are gone are left out.
    ///
    /// # Errors
    /// When the library cannot be read.
    pub fn songs(&self, filter: &SongFilter) -> Result<SongList> {
        self.shared().library.list(filter)
    }

    /// The song.
    ///
    /// # Errors
    /// When there is none of that id, or its file is gone.
    pub fn song(&self, id: &str) -> Result<Song> {
        self.shared().library.present(id).map(|kept| kept.song)
    }

    /// Where the song's file lies. Not for the wire.
    ///
    /// # Errors
    /// When there is none of that id, or its file is gone.
    pub fn song_file(&self, id: &str) -> Result<PathBuf> {
        let shared = self.shared();
        let kept = shared.library.present(id)?;
        Ok(shared.paths.song(&kept.file_name))
    }

    /// The song as the network made it, without the gain of its report: a wav file of 32-bit floats
    /// with the song's tags, since it may stand above full scale. Exact to the steps of the song's
    /// own format; of an mp3 as near as its decoder comes.
    ///
    /// # Errors
    /// When there is none of that id, its file is gone or cannot be read.
    pub fn raw_song(&self, id: &str) -> Result<Vec<u8>> {
        let shared = self.shared();
        let kept = shared.library.present(id)?;
        song_file::raw(&shared.paths, &kept)
    }

    /// The song in another format than that of its file, with its tags. What the format or the file's
    /// own rounds away is gone.
    ///
    /// # Errors
    /// When there is none of that id, its file is gone, cannot be read or encoded.
    pub fn song_in_format(&self, id: &str, format: AudioFormat) -> Result<Vec<u8>> {
        let shared = self.shared();
        let kept = shared.library.present(id)?;
        song_file::in_format(&shared.paths, &kept, format)
    }

    /// Renames or marks a song. Its file keeps its name.
    ///
    /// # Errors
    /// When there is none of that id, or the title is empty.
    pub fn update_song(
        &self,
        id: &str,
        title: Option<String>,
        favourite: Option<bool>,
    ) -> Result<Song> {
        let shared = self.shared();
        let title = title.map(|title| {
            let words = title.split(|letter: char| letter.is_whitespace() || letter.is_control());
            let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
            words.join(" ")
        });
        if let Some(title) = &title {
            if title.is_empty() {
                return Err(UserError::invalid(
                    "title",
                    "The title is empty.",
                    "Give at least one letter.",
                )
                .into());
            }
            if title.chars().count() > LONGEST_TITLE {
                return Err(UserError::invalid(
                    "title",
                    format!("The title has {} characters.", title.chars().count()),
                    format!("Give at most {LONGEST_TITLE}."),
                )
                .into());
            }
        }
        shared.library.present(id)?;
        let song = shared.library.update(id, title.as_deref(), favourite)?;
        shared.touch();
        Ok(song)
    }

    /// Deletes a song and its files.
    ///
    /// # Errors
    /// When there is none of that id, a job needs it, or its file cannot be removed.
    pub fn delete_song(&self, id: &str) -> Result<()> {
        let shared = self.shared();
        let kept = shared.library.find(id)?;
        shared.store.write(|db| {
            jobs::refuse_if_needed(db, id, &kept.song.title)?;
            library::forget(db, id)?;
            // Where it cannot be removed, the row stays: a file without its row would come back.
            song_file::remove(&shared.paths.song(&kept.file_name))
        })?;
        shared.touch();
        Ok(())
    }

    /// The page's form as it was saved last.
    ///
    /// # Errors
    /// When the library cannot be read.
    pub fn draft(&self) -> Result<Option<Value>> {
        self.shared().library.draft()
    }

    /// Keeps the page's form, so that a reload loses nothing.
    ///
    /// # Errors
    /// When the library cannot be written.
    pub fn save_draft(&self, form: &Value) -> Result<()> {
        self.shared().library.save_draft(form)
    }
}
