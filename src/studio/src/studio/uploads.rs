//! Recordings that are sent in.

use std::path::PathBuf;

use acestep_domain::library::{FoundSettings, Upload, UploadList};

use super::Studio;
use crate::{error::Result, uploads::Incoming};

impl Studio {
    /// Begins to take a file in that calls itself `name`; see [`Incoming`].
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn receive(&self, name: &str) -> Result<Incoming> {
        self.shared().uploads.begin(name)
    }

    /// Looks for settings in a file that was sent in: a song that was made here, whatever it is called
    /// now, or parameters as JSON. What it does not say has the default of the loaded model; the file is
    /// not kept.
    ///
    /// # Errors
    /// When there are none in it (`no_settings`), or they cannot be read.
    pub fn settings_in(&self, incoming: Incoming) -> Result<FoundSettings> {
        incoming.settings(self.defaults())
    }

    /// Uploads, newest first.
    ///
    /// # Errors
    /// When the library cannot be read.
    pub fn uploads(&self) -> Result<UploadList> {
        self.shared().uploads.list()
    }

    /// The upload.
    ///
    /// # Errors
    /// When there is none of that id.
    pub fn upload(&self, id: &str) -> Result<Upload> {
        Ok(self.shared().uploads.present(id)?.upload)
    }

    /// Where the upload's file lies. Not for the wire.
    ///
    /// # Errors
    /// When there is none of that id.
    pub fn upload_file(&self, id: &str) -> Result<PathBuf> {
        let shared = self.shared();
        let kept = shared.uploads.present(id)?;
        Ok(shared.paths.upload(&kept.file_name))
    }

    /// Removes an upload.
    ///
    /// # Errors
    /// When there is none of that id, or a job needs it.
    pub fn delete_upload(&self, id: &str) -> Result<()> {
        self.shared().uploads.remove(id)
    }
}
