//! The one player of the page: what is loaded, where it stands, what comes next. The `<audio>` element
//! lives in the transport, outside every page, so nothing stops it but its own keys.

use acestep_domain::library::Song;
use leptos::{html, prelude::*};

/// Shared signals of the player. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Player {
    /// The song in the transport; none before the first play.
    pub song: RwSignal<Option<Song>>,
    /// Sound is coming out.
    pub playing: RwSignal<bool>,
    /// Seconds from the start.
    pub position: RwSignal<f64>,
    /// 0 to 1.
    pub volume: RwSignal<f64>,
    /// Starts again at its end.
    pub looping: RwSignal<bool>,
    /// The file could not be played.
    pub failed: RwSignal<bool>,
    /// The songs beside it where it was started; J and K walk through them.
    pub queue: RwSignal<Vec<Song>>,
    /// The element, in the transport.
    pub audio: NodeRef<html::Audio>,
}

impl Player {
    /// A player with nothing loaded.
    pub fn new() -> Self {
        Self {
            song: RwSignal::new(None),
            playing: RwSignal::new(false),
            position: RwSignal::new(0.0),
            volume: RwSignal::new(1.0),
            looping: RwSignal::new(false),
            failed: RwSignal::new(false),
            queue: RwSignal::new(Vec::new()),
            audio: NodeRef::new(),
        }
    }

    /// The player of the page.
    pub fn expect() -> Self {
        expect_context()
    }

    /// Whether `id` is the song in the transport.
    pub fn is_current(self, id: &str) -> bool {
        self.song
            .with(|song| song.as_ref().is_some_and(|song| song.id == id))
    }

    /// Whether `id` sounds now.
    pub fn is_playing(self, id: &str) -> bool {
        self.playing.get() && self.is_current(id)
    }

    /// Whether a song is loaded.
    pub fn has_song(self) -> bool {
        self.song.with_untracked(Option::is_some)
    }

    /// Plays `song` from its start, or pauses and goes on when it is loaded already.
    pub fn toggle(self, song: &Song) {
        if untrack(|| self.is_current(&song.id)) {
            self.toggle_current();
        } else {
            self.load(song);
            self.play();
        }
    }

    /// Pauses or goes on.
    pub fn toggle_current(self) {
        if self.playing.get_untracked() {
            self.pause();
        } else {
            self.play();
        }
    }

    /// Puts `song` into the transport, silent at its start.
    pub fn load(self, song: &Song) {
        self.position.set(0.0);
        self.failed.set(false);
        self.song.set(Some(song.clone()));
        // The source is set here and not drawn, so the next call finds the element ready for it.
        #[cfg(feature = "hydrate")]
        if let Some(audio) = self.audio.get_untracked() {
            audio.set_src(&audio_url(&song.id));
        }
    }

    /// Starts the loaded song.
    pub fn play(self) {
        #[cfg(feature = "hydrate")]
        if let Some(audio) = self.audio.get_untracked() {
            browser::play(&audio);
        }
    }

    /// Pauses.
    pub fn pause(self) {
        #[cfg(feature = "hydrate")]
        if let Some(audio) = self.audio.get_untracked() {
            // Nothing to pause is what was wanted.
            let _ = audio.pause();
        }
    }

    /// Goes to `secs` of `song`, loading it first when needed.
    pub fn seek(self, song: &Song, secs: f64) {
        if !untrack(|| self.is_current(&song.id)) {
            self.load(song);
        }
        self.move_to(secs);
    }

    /// Goes to `secs` of the loaded song.
    pub fn move_to(self, secs: f64) {
        let length = self
            .song
            .with_untracked(|song| song.as_ref().map_or(0.0, |song| song.duration_secs));
        let secs = secs.clamp(0.0, length.max(0.0));
        self.position.set(secs);
        #[cfg(feature = "hydrate")]
        if let Some(audio) = self.audio.get_untracked() {
            audio.set_current_time(secs);
        }
    }

    /// Moves by `secs`.
    pub fn nudge(self, secs: f64) {
        self.move_to(self.position.get_untracked() + secs);
    }

    /// Goes `by` songs on in the queue and keeps sounding or silent as it was; false at its ends.
    pub fn step(self, by: isize) -> bool {
        let Some(next) = self.beside(by) else {
            return false;
        };
        let sounding = self.playing.get_untracked() || !self.has_song();
        self.load(&next);
        if sounding {
            self.play();
        }
        true
    }

    /// Whether there is a song `by` places on.
    pub fn can_step(self, by: isize) -> bool {
        self.queue.track();
        self.song.track();
        self.beside(by).is_some()
    }

    fn beside(self, by: isize) -> Option<Song> {
        let current = self
            .song
            .with_untracked(|song| song.as_ref().map(|song| song.id.clone()));
        self.queue
            .with_untracked(|queue| neighbour(queue, current.as_deref(), by).cloned())
    }

    /// Sets the loudness, 0 to 1, and remembers it for this browser.
    pub fn set_volume(self, volume: f64) {
        let volume = volume.clamp(0.0, 1.0);
        self.volume.set(volume);
        #[cfg(feature = "hydrate")]
        if let Some(audio) = self.audio.get_untracked() {
            audio.set_volume(volume);
            browser::remember_volume(volume);
        }
    }

    /// Starts again at the end, or no more.
    pub fn set_looping(self, looping: bool) {
        self.looping.set(looping);
        #[cfg(feature = "hydrate")]
        if let Some(audio) = self.audio.get_untracked() {
            audio.set_loop(looping);
        }
    }

    /// Takes the remembered volume and follows the library: a renamed song is renamed here too. Browser only.
    pub fn wake(self) {
        #[cfg(feature = "hydrate")]
        Effect::new(move |_| {
            if let Some(volume) = browser::remembered_volume() {
                self.set_volume(volume);
            }
        });
    }

    /// Takes over what changed about the loaded song.
    pub fn update(self, songs: &[Song]) {
        let Some(fresh) = self.song.with_untracked(|now| {
            let now = now.as_ref()?;
            songs.iter().find(|song| song.id == now.id && *song != now)
        }) else {
            return;
        };
        self.song.set(Some(fresh.clone()));
    }
}

impl Default for Player {
    fn default() -> Self {
        Self::new()
    }
}

/// The song `by` places after `current`; without a current one, the first or the last.
fn neighbour<'a>(queue: &'a [Song], current: Option<&str>, by: isize) -> Option<&'a Song> {
    match queue
        .iter()
        .position(|song| Some(song.id.as_str()) == current)
    {
        Some(place) => queue.get(place.checked_add_signed(by)?),
        None if by > 0 => queue.first(),
        None => queue.last(),
    }
}

/// Where a song's sound is.
pub fn audio_url(song_id: &str) -> String {
    format!("/api/v1/songs/{song_id}/audio")
}

/// `m:ss`, whole seconds, for places that count along.
pub fn clock(secs: f64) -> String {
    let secs = if secs.is_finite() {
        secs.max(0.0) as u64
    } else {
        0
    };
    format!("{}:{:02}", secs / 60, secs % 60)
}

#[cfg(feature = "hydrate")]
mod browser {
    use leptos::prelude::window;
    use web_sys::HtmlAudioElement;

    const STORED: &str = "volume";

    pub(super) fn play(audio: &HtmlAudioElement) {
        // A refusal (no gesture yet, file gone) shows as "not playing"; the element tells by its events.
        if let Ok(promise) = audio.play() {
            crate::browser::let_refuse(&promise);
        }
    }

    pub(super) fn remembered_volume() -> Option<f64> {
        let storage = window().local_storage().ok().flatten()?;
        acestep_domain::number::decimal(&storage.get_item(STORED).ok().flatten()?)
    }

    pub(super) fn remember_volume(volume: f64) {
        if let Ok(Some(storage)) = window().local_storage() {
            // A browser that keeps nothing starts loud again.
            let _ = storage.set_item(STORED, &volume.to_string());
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use acestep_domain::{
        GenerationParams,
        library::{Provenance, Report},
    };

    use super::*;

    /// A song with nothing to it.
    pub(crate) fn song(id: &str) -> Song {
        Song {
            id: id.into(),
            job_id: "job".into(),
            item: 0,
            title: id.into(),
            created_at: "2026-01-01T00:00:00Z".into(),
            duration_secs: 10.0,
            sample_rate_hz: 24_000,
            channels: 2,
            audio_format: "wav".into(),
            size_bytes: 1,
            seed: 1,
            params: GenerationParams::default(),
            plan: None,
            audio_codes: String::new(),
            made_from: Vec::new(),
            lyric_lines: Vec::new(),
            scores: None,
            provenance: Provenance {
                lm: None,
                loras: Vec::new(),
                app_version: "0".into(),
                model: "m".into(),
                device: "cpu".into(),
                quantization: "none".into(),
                steps: 8,
            },
            report: Report::default(),
            notes: vec![],
            memory: None,
            peaks: vec![],
            favourite: false,
        }
    }

    #[test]
    fn next_and_previous_stop_at_the_ends() {
        let queue = ["a", "b", "c"].map(song);
        let at = |current, by| neighbour(&queue, current, by).map(|song| song.id.as_str());
        assert_eq!(at(Some("a"), 1), Some("b"));
        assert_eq!(at(Some("c"), 1), None);
        assert_eq!(at(Some("a"), -1), None);
        assert_eq!(at(None, 1), Some("a"));
        assert_eq!(at(Some("elsewhere"), -1), Some("c"));
        assert_eq!(neighbour(&[], None, 1), None);
    }

    #[test]
    fn the_clock_counts_whole_seconds() {
        for (secs, text) in [
            (0.0, "0:00"),
            (59.99, "0:59"),
            (72.0, "1:12"),
            (600.0, "10:00"),
        ] {
            assert_eq!(clock(secs), text);
        }
        assert_eq!(clock(f64::NAN), "0:00");
    }
}
