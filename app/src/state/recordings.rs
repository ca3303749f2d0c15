//! The recordings the form names, by id: their names, lengths and waves.

use acestep_domain::UserError;
use leptos::prelude::*;

use super::StudioStore;
use crate::api::recordings::Recording;

/// What is known of them. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Recordings {
    store: StudioStore,
    known: RwSignal<Vec<Recording>>,
    /// Ids that could not be looked up, with the reason.
    missing: RwSignal<Vec<(String, UserError)>>,
}

impl Recordings {
    /// With what came along with the page.
    pub fn new(store: StudioStore, known: Vec<Recording>) -> Self {
        Self {
            store,
            known: RwSignal::new(known),
            missing: RwSignal::new(Vec::new()),
        }
    }

    /// Those of the page.
    pub fn expect() -> Self {
        expect_context()
    }

    /// The recording of that id, once it is known; tracks.
    pub fn find(self, id: &str) -> Option<Recording> {
        self.known
            .with(|known| known.iter().find(|own| own.id == id).cloned())
            .or_else(|| {
                self.store
                    .songs
                    .with(|songs| songs.iter().find(|song| song.id == id).map(Recording::from))
            })
    }

    /// Why the recording of that id is not known; tracks.
    pub fn trouble(self, id: &str) -> Option<UserError> {
        self.missing.with(|missing| {
            missing
                .iter()
                .find(|(own, _)| own == id)
                .map(|(_, error)| error.clone())
        })
    }

    /// There is no recording of that id any more; tracks.
    pub fn is_gone(self, id: &str) -> bool {
        self.trouble(id)
            .is_some_and(|error| error.code == "not_found")
    }

    /// Takes one in, or what is newly known of it.
    pub fn add(self, recording: Recording) {
        self.missing
            .update(|missing| missing.retain(|(id, _)| *id != recording.id));
        self.known.update(|known| {
            known.retain(|own| own.id != recording.id);
            known.push(recording);
        });
    }

    /// One is no more.
    pub fn forget(self, id: &str) {
        self.known.update(|known| known.retain(|own| own.id != id));
    }

    /// Looks up what `ids` name and nobody knows yet, and again when the songs have changed: one of them
    /// may have been deleted elsewhere. Acts in the browser only.
    pub fn follow(self, ids: Signal<Vec<String>>) {
        #[cfg(feature = "hydrate")]
        Effect::new(move |before: Option<Vec<String>>| {
            let songs: Vec<String> = self
                .store
                .songs
                .with(|songs| songs.iter().map(|song| song.id.clone()).collect());
            let changed = before.is_some_and(|before| before != songs);
            for id in ids.get() {
                let is_new = untrack(|| self.find(&id).is_none() && self.trouble(&id).is_none());
                if is_new || (changed && !songs.contains(&id)) {
                    leptos::task::spawn_local(async move {
                        match crate::api::call::ask(crate::api::recordings::GetRecording {
                            id: id.clone(),
                        })
                        .await
                        {
                            Ok(found) => self.add(found),
                            Err(error) => {
                                if error.0.code == "not_found" {
                                    self.forget(&id);
                                }
                                self.missing.update(|missing| {
                                    missing.retain(|(own, _)| *own != id);
                                    missing.push((id, error.0));
                                });
                            }
                        }
                    });
                }
            }
            songs
        });
        #[cfg(not(feature = "hydrate"))]
        let _ = ids;
    }
}
