//! A place that takes recordings: files that are picked or dropped, what the microphone records, songs and
//! uploads that are chosen again. Of several files the first one goes to the place, the others are kept among
//! the uploads.

use acestep_domain::UserError;
use leptos::{ev, prelude::*};

use crate::{
    api::recordings::Recording,
    components::{icon::Icon, note::Refused},
    i18n::{t_string, use_i18n},
    state::{form::Form, recordings::Recordings},
};

/// A file on its way, and its place among those that came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnItsWay {
    name: String,
    number: usize,
    count: usize,
}

/// The place. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Uploading {
    /// A file is held over the place.
    pub over: RwSignal<bool>,
    /// What is on its way.
    busy: RwSignal<Option<OnItsWay>>,
    /// Names of files that were not taken, and why; a recording of the microphone has no name.
    refused: RwSignal<Vec<(String, UserError)>>,
    /// Names of recordings that came along and are among the uploads now.
    beside: RwSignal<Vec<String>>,
    /// Seconds of the recording that runs.
    pub recorded_secs: RwSignal<Option<u32>>,
    /// Puts a recording into the form, if there is room.
    put: fn(Form, &Recording) -> bool,
    form: Form,
    recordings: Recordings,
    /// Takes up settings.
    #[cfg(feature = "hydrate")]
    dropped: super::dropped::Dropped,
}

impl Uploading {
    /// A place whose recordings `put` puts into the form; it says whether there was room.
    pub fn new(put: fn(Form, &Recording) -> bool) -> Self {
        Self {
            over: RwSignal::new(false),
            busy: RwSignal::new(None),
            refused: RwSignal::new(Vec::new()),
            beside: RwSignal::new(Vec::new()),
            recorded_secs: RwSignal::new(None),
            put,
            form: Form::expect(),
            recordings: Recordings::expect(),
            #[cfg(feature = "hydrate")]
            dropped: super::dropped::Dropped::expect(),
        }
    }

    /// Takes a recording that the studio has.
    pub fn take(self, recording: &Recording) {
        self.forget();
        self.put(recording);
    }

    fn put(self, recording: &Recording) -> bool {
        self.recordings.add(recording.clone());
        (self.put)(self.form, recording)
    }

    /// What was said of earlier files is over.
    fn forget(self) {
        // The place may have gone from the page meanwhile.
        self.refused.try_set(Vec::new());
        self.beside.try_set(Vec::new());
    }

    #[cfg(feature = "hydrate")]
    fn refuse(self, name: String, error: UserError) {
        self.refused
            .try_update(|refused| refused.push((name, error)));
    }

    /// A file is held over it.
    pub fn drag_over(self, event: &ev::DragEvent) {
        event.prevent_default();
        self.over.set(true);
    }

    /// Files are dropped on it.
    pub fn drop(self, event: &ev::DragEvent) {
        event.prevent_default();
        self.over.set(false);
        #[cfg(feature = "hydrate")]
        self.send(super::files::of(
            event.data_transfer().and_then(|data| data.files()),
        ));
    }

    /// Brings files to the studio, one after the other.
    #[cfg(feature = "hydrate")]
    pub fn send(self, files: Vec<super::files::Brought>) {
        let (settings, recordings): (Vec<_>, Vec<_>) =
            files.into_iter().partition(super::files::Brought::is_json);
        if !settings.is_empty() {
            self.dropped.take_in(settings);
        }
        if recordings.is_empty() {
            return;
        }
        self.forget();
        leptos::task::spawn_local(async move {
            let count = recordings.len();
            let mut full = false;
            for (index, file) in recordings.into_iter().enumerate() {
                self.busy.try_set(Some(OnItsWay {
                    name: file.name.clone(),
                    number: index + 1,
                    count,
                }));
                match crate::api::recordings::upload(&file.name, &file.bytes).await {
                    Ok(recording) if !full && self.put(&recording) => full = true,
                    Ok(recording) => {
                        self.beside
                            .try_update(|names| names.push(recording.name.clone()));
                        self.recordings.add(recording);
                    }
                    Err(error) => self.refuse(file.name, error.0),
                }
            }
            self.busy.try_set(None);
        });
    }

    /// Starts to record, or ends the recording and brings it to the studio; `name` names it.
    pub fn record(self, name: String) {
        #[cfg(feature = "hydrate")]
        {
            use crate::recorder::{LONGEST_SECS, abandon, start, stop};

            if self.recorded_secs.get_untracked().is_some() {
                self.recorded_secs.set(None);
                leptos::task::spawn_local(async move {
                    match stop().await {
                        Ok(Some(bytes)) => self.send(vec![super::files::Brought { name, bytes }]),
                        Ok(None) => {}
                        Err(error) => self.refuse(String::new(), error),
                    }
                });
                return;
            }
            self.forget();
            leptos::task::spawn_local(async move {
                if let Err(error) = start().await {
                    self.refuse(String::new(), error);
                    return;
                }
                if self.recorded_secs.try_set(Some(0)).is_some() {
                    // The place has gone from the page meanwhile.
                    abandon();
                    return;
                }
                self.count(move || {
                    let full = self.recorded_secs.get_untracked() >= Some(LONGEST_SECS);
                    if full {
                        self.record(name.clone());
                    }
                });
            });
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = name;
    }

    /// Counts the seconds of a recording until it ends.
    #[cfg(feature = "hydrate")]
    fn count(self, each: impl Fn() + 'static) {
        let timer = StoredValue::new(None::<leptos::leptos_dom::helpers::IntervalHandle>);
        let tick = move || match self.recorded_secs.try_get_untracked().flatten() {
            Some(secs) => {
                self.recorded_secs.set(Some(secs + 1));
                each();
            }
            None => {
                if let Some(timer) = timer.try_get_value().flatten() {
                    timer.clear();
                }
            }
        };
        timer.set_value(set_interval_with_handle(tick, std::time::Duration::from_secs(1)).ok());
    }
}

/// What is on its way, what came along, and what was not taken.
#[component]
pub fn UploadLine(uploading: Uploading) -> impl IntoView {
    let i18n = use_i18n();
    view! {
        <div class="source__line" role="status">
            {move || {
                uploading
                    .busy
                    .get()
                    .map(|OnItsWay { name, number, count }| {
                        let words = if count == 1 {
                            t_string!(i18n, tasks.uploading, name = name)
                        } else {
                            t_string!(
                                i18n,
                                tasks.uploading_of,
                                name = name,
                                number = number,
                                count = count
                            )
                        };
                        view! {
                            <p class="note note--info">
                                <Icon name="spin" class="icon--spin" />
                                <span dir="auto">{words}</span>
                            </p>
                        }
                    })
            }}
            {move || {
                let names = uploading.beside.get();
                (!names.is_empty())
                    .then(|| {
                        view! {
                            <p class="note note--info">
                                <Icon name="info" />
                                <span dir="auto">
                                    {t_string!(i18n, tasks.came_along, names = names.join(", "))}
                                </span>
                            </p>
                        }
                    })
            }}
        </div>
        <div role="alert">
            {move || {
                uploading
                    .refused
                    .get()
                    .into_iter()
                    .map(|(name, error)| view! { <Refused text=said_by_name(&name, &error) /> })
                    .collect_view()
            }}
        </div>
    }
    .into_any()
}

/// The refusal with the name of the file, where it does not say it itself.
pub fn said_by_name(name: &str, error: &UserError) -> String {
    let text = error.to_string();
    if name.is_empty() || text.contains(name) {
        text
    } else {
        format!("{name}: {text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_file_once() {
        let silent = UserError::new("invalid_audio", "a.wav: it is silent.", "Send another.");
        assert_eq!(
            said_by_name("a.wav", &silent),
            "a.wav: it is silent. Send another."
        );
        let large = UserError::new("too_large", "The file is too large.", "Cut it.");
        assert_eq!(
            said_by_name("b.wav", &large),
            "b.wav: The file is too large. Cut it."
        );
        assert_eq!(said_by_name("", &large), "The file is too large. Cut it.");
    }
}
