//! The SQLite file: opening, schema versions, transactions. Who keeps what in it is said in `jobs`,
//! `events` and `library`.

mod unrecorded;

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use rusqlite_migration::{M, Migrations};

pub(crate) use unrecorded::{End, Unrecorded};

use crate::error::Result;

/// The versions of the schema; a published one is never edited, a change is a new file.
fn migrations() -> Migrations<'static> {
    Migrations::new(vec![
        M::up(include_str!("migrations/001_library.sql")),
        M::up(include_str!("migrations/002_writing.sql")),
        M::up(include_str!("migrations/003_uploads.sql")),
        M::up(include_str!("migrations/004_repeat.sql")),
        M::up(include_str!("migrations/005_dismissed.sql")),
        M::up(include_str!("migrations/006_seen.sql")),
    ])
}

/// One connection behind a lock: there is one writer at a time anyway, and reads are short.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Mutex<Connection>,
    unrecorded: Unrecorded,
}

impl Store {
    /// Opens the file, creating or migrating it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // In WAL mode a killed program loses nothing; only a power cut may lose the last moments.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        migrations().to_latest(&mut connection)?;
        Ok(Self {
            connection: Mutex::new(connection),
            unrecorded: Unrecorded::default(),
        })
    }

    /// A poisoned lock is taken over: the interrupted transaction was rolled back by its drop.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        read(&self.lock())
    }

    /// Ends of jobs that are not in the database yet. Asked within [`Self::read`], they and what is read
    /// belong together.
    pub(crate) fn unrecorded(&self) -> &Unrecorded {
        &self.unrecorded
    }

    /// Tries again to write the ends that wait.
    pub(crate) fn catch_up(&self) -> Result<()> {
        if self.unrecorded.is_empty() {
            return Ok(());
        }
        self.unrecorded.write(&mut self.lock())
    }

    /// Writes, all or nothing; before it the ends that wait, as far as they can be.
    pub(crate) fn write<T>(&self, write: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut connection = self.lock();
        // This write may succeed where one of those fails: a deletion needs no room.
        self.unrecorded.write(&mut connection).ok();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = write(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_is_valid_from_nothing() {
        super::migrations().validate().unwrap();
    }
}
