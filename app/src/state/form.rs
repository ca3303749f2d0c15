//! The one store of the Generation form: what is typed, key by key, exactly as typed.
//!
//! Values are text (switches: on or off), so a half-written or wrong value survives reload. Reading them
//! is `acestep-domain`'s work, in [`super::check`]; text and JSON meet in [`super::fields`].

use acestep_domain::{Note, UserError, generation::GenerationParams, task::TaskType};
use leptos::prelude::*;
use serde_json::{Map, Value};

use super::{
    StudioStore,
    check::Checked,
    fields::{
        CUSTOM, RADIOS, SIMPLE, SWITCHES, TEXTS, fields_from_params, fields_to_restore, on, shown,
        wire,
    },
    fill::{Awaited, Filled, FilledBy},
    lengths,
    recordings::Recordings,
    request::{REPEAT, USUAL_REPEATS, Wish, parameters, unread},
    task::is_simple,
};

/// The form's signals. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    texts: [RwSignal<String>; TEXTS.len()],
    switches: [RwSignal<bool>; SWITCHES.len()],
    radios: [RwSignal<String>; RADIOS.len()],
    /// What the domain says about the values as they stand.
    pub checked: Memo<Checked>,
    /// A refusal of the studio, until the next change or submission.
    pub refusal: RwSignal<Option<UserError>>,
    /// The job whose text goes into the form when it is written.
    pub awaited: RwSignal<Option<Awaited>>,
    /// The recording whose codes are wanted in the form, until it is asked for.
    pub heard: RwSignal<Option<String>>,
    /// On a phone: the takes are seen in place of the form.
    pub shows_takes: RwSignal<bool>,
    /// What was put into the form last, with what stood there before.
    pub filled: RwSignal<Option<Filled>>,
}

impl Form {
    /// A form with the kept draft over the defaults of the loaded model.
    pub fn new(store: StudioStore, recordings: Recordings, draft: Option<&Value>) -> Self {
        let mut fields = store.defaults.with_untracked(fields_from_params);
        fields["mode"] = Value::from(CUSTOM);
        fields["simple_language"] = Value::from("unknown");
        fields[REPEAT] = Value::from(USUAL_REPEATS);
        if let (Some(fields), Some(Value::Object(draft))) = (fields.as_object_mut(), draft) {
            for (key, value) in draft {
                fields.insert(key.clone(), value.clone());
            }
        }
        let text = |key: &str| RwSignal::new(shown(&fields, key));
        let texts = TEXTS.map(text);
        let radios = RADIOS.map(text);
        let switches = SWITCHES.map(|key| RwSignal::new(on(&fields, key)));
        let checked = Memo::new(move |_| {
            let form = json(&texts, &switches, &radios);
            let asked = parameters(&form, Wish::of_mode(&form));
            let source = asked["src_audio"]
                .as_str()
                .and_then(|id| recordings.find(id))
                .map(|source| source.duration_secs);
            let bounds = store.bounds();
            let mut checked = Checked::new(&asked, store.defaults.get(), bounds, source);
            if !is_simple(&form) {
                let longest = bounds.limits().0;
                checked.notes.extend(unread(&form));
                checked
                    .notes
                    .extend(lengths::notes(&checked.params, longest));
                let no_room = |lm| lengths::no_room(&checked.params, &lm);
                let no_room = store.loaded_lm().and_then(no_room);
                checked.errors.extend(no_room);
            }
            checked
        });
        Self {
            texts,
            switches,
            radios,
            checked,
            refusal: RwSignal::new(None),
            awaited: RwSignal::new(None),
            heard: RwSignal::new(None),
            shows_takes: RwSignal::new(false),
            filled: RwSignal::new(None),
        }
    }

    /// The form of the page.
    pub fn expect() -> Self {
        expect_context()
    }

    /// The text of `key`, one of [`TEXTS`] or [`RADIOS`].
    pub fn text(self, key: &str) -> RwSignal<String> {
        TEXTS
            .iter()
            .position(|name| *name == key)
            .map(|index| self.texts[index])
            .or_else(|| {
                RADIOS
                    .iter()
                    .position(|name| *name == key)
                    .map(|index| self.radios[index])
            })
            .expect("a control is made for a key of TEXTS or RADIOS")
    }

    /// The state of switch `key`, one of [`SWITCHES`].
    pub fn switch(self, key: &str) -> RwSignal<bool> {
        SWITCHES
            .iter()
            .position(|name| *name == key)
            .map(|index| self.switches[index])
            .expect("a switch is made for a key of SWITCHES")
    }

    /// All values as a JSON object by parameter key; tracks every field.
    pub fn json(self) -> Value {
        json(&self.texts, &self.switches, &self.radios)
    }

    /// A description is enough.
    pub fn is_simple(self) -> bool {
        self.text("mode").with(|mode| mode == SIMPLE) && self.task() == TaskType::Text2music
    }

    /// Puts `fields` into the form; what stood there comes back with Undo.
    pub fn fill(self, by: FilledBy, fields: &Value) {
        let before = untrack(|| self.json());
        self.apply(fields);
        self.filled.set(Some(Filled { by, before }));
    }

    /// What of the values as they stand will be used otherwise, or not.
    pub fn bent(self) -> Vec<Note> {
        self.checked.with_untracked(|checked| {
            let is_bent =
                |note: &&Note| note.code.ends_with("_clamped") || note.code.ends_with("_ignored");
            checked.notes.iter().filter(is_bent).cloned().collect()
        })
    }

    /// Takes a song's settings up.
    pub fn restore(self, params: &GenerationParams) {
        self.fill(FilledBy::Song, &fields_to_restore(params));
    }

    /// Takes the last [`Self::fill`] back.
    pub fn undo(self) {
        if let Some(filled) = self.filled.get_untracked() {
            self.apply(&filled.before);
            self.filled.set(None);
        }
    }

    /// Takes over `fields`; keys that are absent keep.
    pub fn apply(self, fields: &Value) {
        let Value::Object(object) = fields else {
            return;
        };
        for (key, signal) in TEXTS.iter().zip(self.texts) {
            if object.contains_key(*key) {
                set(signal, shown(fields, key));
            }
        }
        for (key, signal) in RADIOS.iter().zip(self.radios) {
            if object.contains_key(*key) {
                set(signal, shown(fields, key));
            }
        }
        for (key, signal) in SWITCHES.iter().zip(self.switches) {
            if object.contains_key(*key) {
                set(signal, on(fields, key));
            }
        }
    }

    /// Moves fields that hold a default of `before` to the default of `now`.
    pub fn follow(self, before: &GenerationParams, now: &GenerationParams) {
        let (before, now) = (fields_from_params(before), fields_from_params(now));
        let texts = TEXTS.iter().zip(self.texts);
        for (key, signal) in texts.chain(RADIOS.iter().zip(self.radios)) {
            if signal.with_untracked(|text| *text == shown(&before, key)) {
                set(signal, shown(&now, key));
            }
        }
        for (key, signal) in SWITCHES.iter().zip(self.switches) {
            if signal.get_untracked() == on(&before, key) {
                set(signal, on(&now, key));
            }
        }
    }

    /// Keeps the draft on the server and follows the loaded model's defaults; acts in the browser only.
    pub fn keep(self) {
        Recordings::expect().follow(Signal::derive(move || {
            let source = self.text("src_audio").get();
            std::iter::once(source)
                .filter(|id| !id.is_empty())
                .chain(self.references())
                .collect()
        }));
        #[cfg(feature = "hydrate")]
        {
            super::draft::keep(self);
            super::awaited::follow(self);
        }
    }
}

fn set<T: PartialEq + Send + Sync + 'static>(signal: RwSignal<T>, value: T) {
    if signal.with_untracked(|now| *now != value) {
        signal.set(value);
    }
}

fn json(
    texts: &[RwSignal<String>],
    switches: &[RwSignal<bool>],
    radios: &[RwSignal<String>],
) -> Value {
    let mut object = Map::new();
    for (key, signal) in TEXTS.iter().zip(texts).chain(RADIOS.iter().zip(radios)) {
        object.insert((*key).to_owned(), wire(key, signal.get()));
    }
    for (key, signal) in SWITCHES.iter().zip(switches) {
        object.insert((*key).to_owned(), Value::Bool(signal.get()));
    }
    Value::Object(object)
}
