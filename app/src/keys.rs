//! Keyboard shortcuts of the whole page. Single letters act only outside fields and can be switched off;
//! Ctrl Enter and Shift Escape always act.

use leptos::prelude::*;

/// Whether single-letter keys act; remembered by the browser.
#[derive(Debug, Clone, Copy)]
pub struct SingleKeys {
    /// They act.
    pub on: RwSignal<bool>,
}

#[cfg(feature = "hydrate")]
const STORED: &str = "single-keys";

impl SingleKeys {
    /// Provides the switch, and in the browser listens to the keys.
    pub fn provide() -> Self {
        let keys = Self {
            on: RwSignal::new(true),
        };
        provide_context(keys);
        #[cfg(feature = "hydrate")]
        {
            Effect::new(move |_| {
                let off = local_storage()
                    .and_then(|storage| storage.get_item(STORED).ok().flatten())
                    .is_some_and(|value| value == "off");
                keys.on.set(!off);
            });
            listen::listen(keys);
        }
        keys
    }

    /// Switches them and remembers it.
    pub fn set(self, on: bool) {
        self.on.set(on);
        #[cfg(feature = "hydrate")]
        if let Some(storage) = local_storage() {
            // A browser that keeps nothing forgets it with the visit.
            let _ = storage.set_item(STORED, if on { "on" } else { "off" });
        }
    }
}

#[cfg(feature = "hydrate")]
fn local_storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

/// What a key press asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wish {
    /// Submit the form of the Generation page.
    Generate,
    /// Cancel the running job.
    Cancel,
    /// Play or pause.
    Toggle,
    /// Move by this many seconds.
    Nudge(f64),
    /// This many songs on.
    Step(isize),
    /// The part that is made anew begins where its source is heard.
    PartStart,
    /// It ends there.
    PartEnd,
    /// Mark the song in the player, or take the mark away.
    Favourite,
    /// Put the caret into the element of this id.
    Focus(&'static str),
    /// To the search of the library.
    Search,
    /// Compare two takes; while they are compared, hear the other one.
    Compare,
    /// Show the list of keys.
    Help,
    /// The first half of a two-key wish.
    Prefix,
}

/// A key press, free of the browser.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a keyboard has many shift keys"
)]
pub struct Press<'a> {
    /// `KeyboardEvent.key`.
    pub key: &'a str,
    /// Control, or Command on a Mac.
    pub command: bool,
    /// Shift.
    pub shift: bool,
    /// Alt.
    pub alt: bool,
    /// A field, a slider or a button has the focus and may want the key itself.
    pub taken: Taken,
    /// The key before this one was the prefix.
    pub after_prefix: bool,
    /// Single-letter keys are switched on.
    pub single: bool,
}

/// What the focused element does with keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Taken {
    /// Nothing.
    #[default]
    Free,
    /// Space and Enter press it.
    Pressable,
    /// Arrows move it, Space may press it.
    Arrows,
    /// Text goes into it.
    Text,
}

/// What `press` asks for, if anything.
pub fn wish(press: Press<'_>) -> Option<Wish> {
    if press.command && !press.alt && press.key == "Enter" {
        return Some(Wish::Generate);
    }
    if press.shift && !press.command && press.key == "Escape" {
        return Some(Wish::Cancel);
    }
    if press.command || press.alt || press.taken == Taken::Text {
        return None;
    }
    match (press.key, press.taken) {
        (" ", Taken::Free) => return Some(Wish::Toggle),
        ("ArrowLeft", Taken::Free | Taken::Pressable) => return Some(Wish::Nudge(-5.0)),
        ("ArrowRight", Taken::Free | Taken::Pressable) => return Some(Wish::Nudge(5.0)),
        _ => {}
    }
    if !press.single {
        return None;
    }
    match (press.key.to_ascii_lowercase().as_str(), press.after_prefix) {
        ("c", true) => Some(Wish::Focus("caption")),
        ("l", true) => Some(Wish::Focus("lyrics")),
        ("g", _) => Some(Wish::Prefix),
        ("j", _) => Some(Wish::Step(1)),
        ("k", _) => Some(Wish::Step(-1)),
        ("[", _) => Some(Wish::PartStart),
        ("]", _) => Some(Wish::PartEnd),
        ("f", _) => Some(Wish::Favourite),
        ("b", _) => Some(Wish::Compare),
        ("/", _) => Some(Wish::Search),
        ("?", _) => Some(Wish::Help),
        _ => None,
    }
}

#[cfg(feature = "hydrate")]
mod listen;

#[cfg(test)]
mod tests {
    use super::*;

    fn press(key: &str) -> Press<'_> {
        Press {
            key,
            single: true,
            ..Press::default()
        }
    }

    #[test]
    fn letters_act_only_outside_fields() {
        assert_eq!(wish(press("j")), Some(Wish::Step(1)));
        assert_eq!(wish(press("K")), Some(Wish::Step(-1)));
        assert_eq!(wish(press("b")), Some(Wish::Compare));
        assert_eq!(wish(press("[")), Some(Wish::PartStart));
        assert_eq!(wish(press("]")), Some(Wish::PartEnd));
        let typing = Press {
            taken: Taken::Text,
            ..press("j")
        };
        assert_eq!(wish(typing), None);
        let generate = Press {
            command: true,
            taken: Taken::Text,
            ..press("Enter")
        };
        assert_eq!(wish(generate), Some(Wish::Generate));
    }

    #[test]
    fn space_and_arrows_leave_the_focused_control_its_own_keys() {
        let on = |key, taken| {
            wish(Press {
                taken,
                ..press(key)
            })
        };
        assert_eq!(on(" ", Taken::Free), Some(Wish::Toggle));
        assert_eq!(on(" ", Taken::Pressable), None);
        assert_eq!(on("ArrowRight", Taken::Pressable), Some(Wish::Nudge(5.0)));
        assert_eq!(on("ArrowRight", Taken::Arrows), None);
    }

    #[test]
    fn switched_off_letters_stay_silent_and_the_rest_works() {
        let off = |key| {
            wish(Press {
                single: false,
                ..press(key)
            })
        };
        assert_eq!((off("f"), off("?"), off("/")), (None, None, None));
        assert_eq!(off(" "), Some(Wish::Toggle));
    }

    #[test]
    fn two_keys_reach_the_text_fields() {
        assert_eq!(wish(press("g")), Some(Wish::Prefix));
        let second = |key| {
            wish(Press {
                after_prefix: true,
                ..press(key)
            })
        };
        assert_eq!(second("c"), Some(Wish::Focus("caption")));
        assert_eq!(second("l"), Some(Wish::Focus("lyrics")));
        assert_eq!(wish(press("c")), None);
    }
}
