//! What can be done at the field for audio codes: codes of a recording put into it, the codes in it described,
//! or, while it is empty, a song invented. What comes of it fills the form, with Undo.

use acestep_domain::job::JobKind;
use leptos::prelude::*;

use super::{
    choose::Choose,
    take::listen::off_because,
    uploading::{UploadLine, Uploading},
    wish_button::WishButton,
};
use crate::{
    api::{call::Call, jobs::Listen},
    components::note::{Reason, Refused},
    i18n::{t, t_string, use_i18n},
    live::Show,
    state::{StudioStore, fill::Awaited, form::Form, request::Wish},
};

/// The buttons, each with why it cannot act.
#[component]
pub fn CodesTools(
    /// The field holds codes.
    #[prop(into)]
    given: Signal<bool>,
) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let not_described = Memo::new(move |_| off_because(i18n, store, JobKind::Understand, true));
    let not_heard = Memo::new(move |_| off_because(i18n, store, JobKind::Encode, false));
    // Said once where one lack stands behind both.
    let why = move || not_heard.get().or_else(|| not_described.get());
    view! {
        <div class="section__tools section__tools--start">
            <WishButton
                wish=Wish::Describe
                icon="format"
                why="codes-why"
                words=Signal::derive(move || {
                    if given.get() {
                        t_string!(i18n, lm.describe_codes).to_owned()
                    } else {
                        t_string!(i18n, lm.invent).to_owned()
                    }
                })
                off=Signal::derive(move || not_described.with(Option::is_some))
            />
        </div>
        <Show when=move || not_heard.with(Option::is_none)>
            <FromRecording />
        </Show>
        <div id="codes-why">
            {move || {
                why()
                    .map(|why| {
                        view! { <Reason locked=true text=why.clone() /> }
                    })
            }}
        </div>
    }
    .into_any()
}

/// Has the codes of a recording written down.
#[component]
fn FromRecording() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let form = Form::expect();
    let listen = Call::<Listen>::new();
    let uploading = Uploading::new(|form, recording| {
        form.heard.set(Some(recording.id.clone()));
        true
    });
    Effect::new(move |_| {
        if let Some(song_id) = form.heard.get() {
            form.heard.set(None);
            listen.dispatch(Listen {
                kind: JobKind::Encode.as_str().to_owned(),
                song_id,
            });
        }
    });
    Effect::new(move |_| {
        if let Some(Ok(job)) = listen.value().get() {
            form.awaited.set(Some(Awaited::all_of(job.id)));
            store.refresh();
        }
    });
    let refused = move || {
        listen.value().with(|answer| match answer {
            Some(Err(error)) => Some(error.0.to_string()),
            _ => None,
        })
    };
    view! {
        <div
            class="source__choose needs-script"
            role="group"
            aria-label=move || t_string!(i18n, lm.codes_from)
        >
            <span class="field__label">{t!(i18n, lm.codes_from)}</span>
            <Choose id="codes-choose" uploading small=true />
        </div>
        <UploadLine uploading />
        {move || refused().map(|text| view! { <Refused text alert=true /> })}
    }
    .into_any()
}
