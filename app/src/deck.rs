//! Two songs at once, one of them heard: both are decoded whole and started at the same moment of one clock,
//! so a switch between them is a matter of their loudness and has neither gap nor shift.

use acestep_domain::{UserError, library::Song};
use leptos::prelude::*;

use crate::player::Player;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    /// The first.
    #[default]
    A,
    /// The second.
    B,
}

impl Side {
    /// Its letter.
    pub const fn letter(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
        }
    }

    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Gains that make both sides as loud as the quieter one, so that nothing clips; `None` where the loudness of
/// one is not known.
pub fn matched_gains(a: &Song, b: &Song) -> Option<[f64; 2]> {
    let lufs = |song: &Song| song.report.loudness_lufs.map(f64::from);
    let (a, b) = (lufs(a)?, lufs(b)?);
    let quieter = a.min(b);
    Some([a, b].map(|own| 10f64.powf((quieter - own) / 20.0)))
}

/// Signals of the pair. Cheap to copy; what sounds lives in the browser.
#[derive(Debug, Clone, Copy)]
pub struct Deck {
    /// Sound is coming out.
    pub playing: RwSignal<bool>,
    /// Seconds from the start, the same for both.
    pub position: RwSignal<f64>,
    /// Which one is heard.
    pub side: RwSignal<Side>,
    /// Both are brought to one loudness.
    pub matched: RwSignal<bool>,
    /// The songs are being fetched and decoded.
    pub loading: RwSignal<bool>,
    /// Why nothing can be heard.
    pub trouble: RwSignal<Option<UserError>>,
    songs: StoredValue<[Song; 2]>,
    /// Its volume is the page's.
    player: Player,
}

impl Deck {
    /// A silent pair.
    pub fn new(a: Song, b: Song) -> Self {
        let deck = Self {
            playing: RwSignal::new(false),
            position: RwSignal::new(0.0),
            side: RwSignal::new(Side::A),
            matched: RwSignal::new(matched_gains(&a, &b).is_some()),
            loading: RwSignal::new(false),
            trouble: RwSignal::new(None),
            songs: StoredValue::new([a, b]),
            player: Player::expect(),
        };
        #[cfg(feature = "hydrate")]
        {
            Effect::new(move |_| browser::set_gains(deck.gains()));
            on_cleanup(browser::forget);
        }
        deck
    }

    /// Length of the longer one.
    pub fn length_secs(self) -> f64 {
        self.songs
            .with_value(|[a, b]| a.duration_secs.max(b.duration_secs))
    }

    /// The gains of both sides as they are heard now; tracks.
    pub fn gains(self) -> [f64; 2] {
        let (side, matched) = (self.side.get(), self.matched.get());
        let volume = self.player.volume.get();
        let level = self
            .songs
            .with_value(|[a, b]| matched_gains(a, b))
            .filter(|_| matched)
            .unwrap_or([1.0, 1.0]);
        [Side::A, Side::B].map(|own| {
            if own == side {
                level[own as usize] * volume
            } else {
                0.0
            }
        })
    }

    /// Lets the other one be heard, at the same place.
    pub fn switch(self) {
        self.side.update(|side| *side = side.other());
    }

    /// Plays or pauses.
    pub fn toggle(self) {
        #[cfg(feature = "hydrate")]
        if self.playing.get_untracked() {
            self.pause();
        } else {
            self.play();
        }
    }

    /// Goes to `secs` and keeps sounding or silent as it was.
    pub fn seek(self, secs: f64) {
        self.position.set(secs.clamp(0.0, self.length_secs()));
        #[cfg(feature = "hydrate")]
        if self.playing.get_untracked() {
            browser::start(self.position.get_untracked());
        }
    }

    /// Falls silent where it is.
    pub fn pause(self) {
        #[cfg(feature = "hydrate")]
        browser::stop();
        self.playing.set(false);
    }

    #[cfg(feature = "hydrate")]
    fn play(self) {
        if self.loading.get_untracked() {
            return;
        }
        self.trouble.set(None);
        let urls = self.songs.with_value(|songs| {
            songs
                .each_ref()
                .map(|song| crate::player::audio_url(&song.id))
        });
        // The context must be made while the press is being handled.
        if let Err(error) = browser::wake() {
            self.trouble.set(Some(error));
            return;
        }
        self.loading.set(true);
        leptos::task::spawn_local(async move {
            let ready = browser::load(urls).await;
            // The page may have gone meanwhile.
            if self.loading.try_set(false).is_some() {
                return;
            }
            match ready {
                Ok(()) => {
                    let at = self.position.get_untracked();
                    let at = if at >= self.length_secs() - 0.05 {
                        0.0
                    } else {
                        at
                    };
                    browser::set_gains(untrack(|| self.gains()));
                    browser::start(at);
                    self.playing.set(true);
                    self.count();
                }
                Err(error) => self.trouble.set(Some(error)),
            }
        });
    }

    /// Follows the clock until it falls silent.
    #[cfg(feature = "hydrate")]
    fn count(self) {
        use std::time::Duration;

        let timer = StoredValue::new(None::<leptos::leptos_dom::helpers::IntervalHandle>);
        let tick = move || {
            let sounding = self.playing.try_get_untracked() == Some(true);
            if sounding && let Some(at) = browser::position() {
                self.position.set(at.min(self.length_secs()));
                if at < self.length_secs() {
                    return;
                }
                self.pause();
            }
            if let Some(timer) = timer.try_get_value().flatten() {
                timer.clear();
            }
        };
        timer.set_value(set_interval_with_handle(tick, Duration::from_millis(50)).ok());
    }
}

#[cfg(feature = "hydrate")]
mod browser {
    use std::cell::RefCell;

    use acestep_domain::UserError;
    use js_sys::{ArrayBuffer, futures::JsFuture};
    use leptos::prelude::window;
    use wasm_bindgen::{JsCast, JsValue};
    use web_sys::{
        AudioBuffer, AudioBufferSourceNode, AudioContext, AudioScheduledSourceNode, GainNode,
        Response,
    };

    /// Time constant of a switch in seconds: too short to hear as a fade, long enough not to click.
    const SWITCH_SECS: f64 = 0.004;
    /// Both start this much later, so that neither is late.
    const AHEAD_SECS: f64 = 0.03;

    struct Machine {
        context: AudioContext,
        gains: [GainNode; 2],
        urls: [String; 2],
        buffers: Option<[AudioBuffer; 2]>,
        sources: Vec<AudioBufferSourceNode>,
        /// Time of the context at which second 0 of the songs lies.
        zero: f64,
    }

    thread_local! {
        static MACHINE: RefCell<Option<Machine>> = const { RefCell::new(None) };
    }

    fn failed(_: JsValue) -> UserError {
        UserError::new(
            "playback",
            "The songs cannot be played beside each other.",
            "Check that their files are still there, then press Play again.",
        )
    }

    /// Makes the machine, or wakes it.
    pub(super) fn wake() -> Result<(), UserError> {
        MACHINE.with_borrow_mut(|machine| {
            if machine.is_none() {
                let context = AudioContext::new().map_err(failed)?;
                let gain = || -> Result<GainNode, JsValue> {
                    let gain = context.create_gain()?;
                    gain.gain().set_value(0.0);
                    gain.connect_with_audio_node(&context.destination())?;
                    Ok(gain)
                };
                let gains = [gain().map_err(failed)?, gain().map_err(failed)?];
                *machine = Some(Machine {
                    context,
                    gains,
                    urls: Default::default(),
                    buffers: None,
                    sources: Vec::new(),
                    zero: 0.0,
                });
            }
            let Some(machine) = machine else {
                return Ok(());
            };
            // A context that stays asleep is silent; nothing else is lost.
            if let Ok(promise) = machine.context.resume() {
                crate::browser::let_refuse(&promise);
            }
            Ok(())
        })
    }

    /// Fetches and decodes both, once.
    pub(super) async fn load(urls: [String; 2]) -> Result<(), UserError> {
        let Some(context) = MACHINE.with_borrow(|machine| {
            machine
                .as_ref()
                .filter(|machine| machine.buffers.is_none() || machine.urls != urls)
                .map(|machine| machine.context.clone())
        }) else {
            return Ok(());
        };
        let a = decode(&context, &urls[0]).await.map_err(failed)?;
        let b = decode(&context, &urls[1]).await.map_err(failed)?;
        MACHINE.with_borrow_mut(|machine| {
            if let Some(machine) = machine {
                machine.buffers = Some([a, b]);
                machine.urls = urls;
            }
        });
        Ok(())
    }

    async fn decode(context: &AudioContext, url: &str) -> Result<AudioBuffer, JsValue> {
        let answer: Response = JsFuture::from(window().fetch_with_str(url))
            .await?
            .unchecked_into();
        if !answer.ok() {
            return Err(JsValue::from_str(url));
        }
        let bytes: ArrayBuffer = JsFuture::from(answer.array_buffer()?)
            .await?
            .unchecked_into();
        let decoded = JsFuture::from(context.decode_audio_data(&bytes)?).await?;
        Ok(decoded.unchecked_into())
    }

    /// Starts both at second `at`, in place of what sounds.
    pub(super) fn start(at: f64) {
        stop();
        MACHINE.with_borrow_mut(|machine| {
            let Some(machine) = machine else { return };
            let Some(buffers) = &machine.buffers else {
                return;
            };
            let when = machine.context.current_time() + AHEAD_SECS;
            for (buffer, gain) in buffers.iter().zip(&machine.gains) {
                let started = || -> Result<AudioBufferSourceNode, JsValue> {
                    let source = machine.context.create_buffer_source()?;
                    source.set_buffer(Some(buffer));
                    source.connect_with_audio_node(gain)?;
                    source.start_with_when_and_grain_offset(when, at)?;
                    Ok(source)
                };
                // A side that cannot be started is silent.
                machine.sources.extend(started());
            }
            machine.zero = when - at;
        });
    }

    /// Falls silent.
    pub(super) fn stop() {
        MACHINE.with_borrow_mut(|machine| {
            for source in machine
                .iter_mut()
                .flat_map(|machine| machine.sources.drain(..))
            {
                let source: &AudioScheduledSourceNode = source.as_ref();
                // One that ended by itself is stopped already.
                let _ = source.stop();
            }
        });
    }

    /// Second of the songs that sounds now.
    pub(super) fn position() -> Option<f64> {
        MACHINE.with_borrow(|machine| {
            machine
                .as_ref()
                .map(|machine| (machine.context.current_time() - machine.zero).max(0.0))
        })
    }

    /// Sets how loud each side is.
    pub(super) fn set_gains(gains: [f64; 2]) {
        MACHINE.with_borrow(|machine| {
            let Some(machine) = machine else { return };
            let now = machine.context.current_time();
            for (node, gain) in machine.gains.iter().zip(gains) {
                // A browser that refuses leaves the side as loud as it was.
                let _ = node
                    .gain()
                    .set_target_at_time(gain as f32, now, SWITCH_SECS);
            }
        });
    }

    /// Gives the memory of the songs back.
    pub(super) fn forget() {
        stop();
        if let Some(machine) = MACHINE.take()
            && let Ok(promise) = machine.context.close()
        {
            crate::browser::let_refuse(&promise);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::player::tests::song;

    #[test]
    fn the_louder_side_is_turned_down_to_the_quieter() {
        let at = |lufs: Option<f32>| {
            let mut song = song("x");
            song.report.loudness_lufs = lufs;
            song
        };
        let gains = matched_gains(&at(Some(-10.0)), &at(Some(-16.0))).unwrap();
        assert!(
            (gains[0] - 0.501).abs() < 1e-3 && gains[1] == 1.0,
            "{gains:?}"
        );
        assert_eq!(matched_gains(&at(None), &at(Some(-16.0))), None);
    }
}
