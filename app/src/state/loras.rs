//! The adapters of the folder, and which of them the form names.
//!
//! A form that names none follows those that are loaded in the service; naming any, or none at all, is
//! the song's own choice. In the form it is one text: empty, or the list as it goes over the wire.

use acestep_domain::{
    lora::{DEFAULT_SCALE, LoraEntry, LoraList, LoraUse, loras_from_json},
    number::decimal,
};
use leptos::prelude::*;
use serde_json::Value;

use super::{StudioStore, form::Form};

/// The parameter.
pub const KEY: &str = "loras";
/// Name of the hidden field by which a form without scripts says that its ticks count.
pub const BY_HAND: &str = "loras-by-hand";

/// Name of the tick of an adapter.
pub fn tick(name: &str) -> String {
    format!("lora-use-{}", plain(name))
}

/// Name of the number beside [`tick`].
pub fn scale_of(name: &str) -> String {
    format!("lora-scale-{}", plain(name))
}

/// A name as part of a field's name: letters, digits and `-` stay, every other byte is `_` and two
/// digits. The encoding of forms reads brackets as nesting, and then no field of the form arrives.
fn plain(name: &str) -> String {
    name.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || byte == b'-' {
                char::from(byte).to_string()
            } else {
                format!("_{byte:02x}")
            }
        })
        .collect()
}

/// The name that [`plain`] was made of; nothing where it was not.
fn from_plain(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'_' {
            bytes.push(*first);
            continue;
        }
        let (digits, behind) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = behind;
    }
    String::from_utf8(bytes).ok()
}

/// The wire's value for the form's text.
pub(super) fn wire(text: &str) -> Value {
    if text.trim().is_empty() {
        return Value::Null;
    }
    // What cannot be read goes on as it is, so that the reader of parameters says what is wrong.
    crate::wire::read(text).unwrap_or_else(|_| Value::from(text))
}

/// The form's text for a value of the wire, or for such a text: the field of a page is read back as it
/// stands when the program arrives.
pub(super) fn shown(value: &Value) -> String {
    let read = match value {
        Value::String(text) => wire(text),
        value => value.clone(),
    };
    match &read {
        Value::Null => String::new(),
        value => match loras_from_json(value) {
            Ok(named) => named.map_or_else(String::new, |named| text(&named)),
            Err(_) => value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned),
        },
    }
}

/// The form's text for a choice.
fn text(named: &[LoraUse]) -> String {
    serde_json::to_string(named).unwrap_or_default()
}

/// What the ticks of a form without scripts choose, taken out of `posted`.
pub(super) fn by_hand(posted: &mut std::collections::HashMap<String, String>) -> Option<String> {
    posted.remove(BY_HAND)?;
    let prefix = tick("");
    let mut names: Vec<String> = posted
        .keys()
        .filter_map(|key| key.strip_prefix(&prefix).and_then(from_plain))
        .collect();
    names.sort();
    let named: Vec<LoraUse> = names
        .into_iter()
        .map(|name| {
            let scale = posted
                .get(&scale_of(&name))
                .and_then(|scale| decimal(scale.trim()));
            LoraUse::new(name, scale.unwrap_or(DEFAULT_SCALE))
        })
        .collect();
    Some(text(&named))
}

/// What is known of the adapters. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Adapters {
    list: RwSignal<LoraList>,
}

impl Adapters {
    /// With what came along with the page.
    pub fn new(list: LoraList) -> Self {
        Self {
            list: RwSignal::new(list),
        }
    }

    /// Those of the page.
    pub fn expect() -> Self {
        expect_context()
    }

    /// The adapters of the folder; tracks.
    pub fn all(self) -> Vec<LoraEntry> {
        self.list.with(|list| list.loras.clone())
    }

    /// The adapter of that name; tracks.
    pub fn find(self, name: &str) -> Option<LoraEntry> {
        self.list
            .with(|list| list.loras.iter().find(|own| own.name == name).cloned())
    }

    /// Takes over what the studio answered.
    pub fn set(self, list: LoraList) {
        self.list.set(list);
    }

    /// Looks again at the folder; acts in the browser only.
    pub fn refresh(self) {
        #[cfg(feature = "hydrate")]
        leptos::task::spawn_local(async move {
            // Without an answer the list stays as it was; the page says that the studio is away.
            if let Ok(list) = crate::api::call::ask(crate::api::loras::GetLoras {}).await {
                self.list.set(list);
            }
        });
    }

    /// Looks again whenever another model or another choice is loaded.
    pub fn follow(self) {
        let store = StudioStore::expect();
        let loaded = Memo::new(move |_| {
            store.status.with(|status| {
                let model = status.model.as_ref().map(|model| model.name.clone());
                (model, status.loras.clone())
            })
        });
        Effect::new(move |before: Option<_>| {
            let now = loaded.get();
            if before.is_some_and(|before| before != now) {
                self.refresh();
            }
            now
        });
    }

    /// Why the song of the form cannot be made: the first adapter of `uses` that acts and cannot; tracks.
    pub fn obstacle(self, uses: &[LoraUse]) -> Option<Obstacle> {
        uses.iter().find_map(|used| match self.find(&used.name) {
            None => Some(Obstacle::Missing(used.name.clone())),
            Some(entry) => entry.problem.map(|_| Obstacle::Unfit(used.name.clone())),
        })
    }
}

/// What stands in the way of an adapter; each with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The folder has none of that name.
    Missing(String),
    /// It cannot be used with the loaded model.
    Unfit(String),
}

impl Form {
    /// The song's own choice; `None` = those that are loaded. Tracks.
    pub fn loras(self) -> Option<Vec<LoraUse>> {
        self.text(KEY)
            .with(|text| loras_from_json(&wire(text)).ok().flatten())
    }

    /// Adapters and scales of the song to come, with those that are off; tracks.
    pub fn loras_used(self, store: StudioStore) -> Vec<LoraUse> {
        self.loras()
            .unwrap_or_else(|| store.status.with(|status| status.loras.clone()))
    }

    /// Makes `named` the song's own choice.
    pub fn choose_loras(self, named: &[LoraUse]) {
        self.text(KEY).set(text(named));
    }

    /// Goes back to those that are loaded.
    pub fn follow_loras(self) {
        self.text(KEY).set(String::new());
    }
}

/// `tape-choir 0.8, rain 0.25`; those that are off are left out.
pub fn in_words(uses: &[LoraUse]) -> Option<String> {
    let acting: Vec<String> = uses
        .iter()
        .filter(|used| used.scale != 0.0)
        .map(|used| format!("{} {:.2}", used.name, used.scale))
        .collect();
    (!acting.is_empty()).then(|| acting.join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_choice_survives_the_form_and_no_choice_is_none() {
        for value in [
            json!([{ "name": "tape, choir", "scale": 0.5, "hash": "ab" }, { "name": "rain", "scale": 1.0 }]),
            json!([]),
            Value::Null,
        ] {
            assert_eq!(wire(&shown(&value)), value);
            // As the hidden field of the page is read back.
            assert_eq!(wire(&shown(&Value::from(shown(&value)))), value);
        }
        assert_eq!(shown(&json!("auto")), "");
        assert_eq!(
            wire(&shown(&json!("tape:0.5"))),
            json!([{ "name": "tape", "scale": 0.5 }])
        );
        assert_eq!(wire("not a list"), json!("not a list"));
    }

    #[test]
    fn ticks_of_a_plain_form_are_a_choice_and_count_only_when_it_says_so() {
        let ticked = || {
            HashMap::from(
                [
                    ("lora-use-rain", "true"),
                    ("lora-scale-rain", "0.25"),
                    ("lora-scale-tape", "1"),
                ]
                .map(|(key, value)| (key.to_owned(), value.to_owned())),
            )
        };
        let mut posted = ticked();
        assert_eq!(by_hand(&mut posted), None);
        posted.insert(BY_HAND.to_owned(), "1".to_owned());
        assert_eq!(
            by_hand(&mut posted).map(|text| wire(&text)),
            Some(json!([{ "name": "rain", "scale": 0.25 }]))
        );
    }

    #[test]
    fn any_name_has_a_tick_that_a_form_can_carry() {
        for name in [
            "my [v2] tape, \"x\"",
            "a_5bb",
            "\u{97f3}=1&2",
            "[]",
            "city-brass 2",
        ] {
            let field = tick(name);
            let safe = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
            assert!(field.chars().all(safe), "{field}");
            let mut posted = HashMap::from([
                (BY_HAND.to_owned(), "1".to_owned()),
                (field, "true".to_owned()),
                (scale_of(name), "0.5".to_owned()),
            ]);
            assert_eq!(
                by_hand(&mut posted).map(|text| wire(&text)),
                Some(json!([{ "name": name, "scale": 0.5 }]))
            );
        }
        assert_eq!((from_plain("_5"), from_plain("_zz")), (None, None));
    }

    #[test]
    fn what_is_off_is_not_said() {
        let uses = [LoraUse::new("tape", 0.0), LoraUse::new("rain", 0.5)];
        assert_eq!(in_words(&uses).as_deref(), Some("rain 0.50"));
        assert_eq!(in_words(&uses[..1]), None);
    }
}
