//! What the models can hear in a song, and the codes it was made from.

use acestep_domain::{job::JobKind, library::Song};
use leptos::prelude::*;

use super::find_out::FindOutItems;
use crate::{
    address::{self, Address},
    api::{
        call::{Call, CallForm},
        form::UseCodes,
        jobs::Listen,
    },
    components::{menu::open_round, note::Refused},
    i18n::{t, t_string, use_i18n},
    live::live,
    pages::generate::{runs::after, words::Words},
    state::{StudioStore, fill::fields_from_codes, form::Form},
};

/// Transcribe and codes of the song, each with why it cannot be done.
#[component]
pub fn ListenItems(
    /// The song.
    song: Song,
) -> impl IntoView {
    let store = StudioStore::expect();
    let listen = Call::<Listen>::new();
    after(listen, store);
    view! {
        <ListenItem listen kind=JobKind::Understand song=song.clone() />
        <ListenItem listen kind=JobKind::Encode song=song.clone() />
        <UseCodesItem song=song.clone() />
        <Answer listen />
        <div class="menu__rule"></div>
        <FindOutItems song />
    }
    .into_any()
}

#[component]
fn ListenItem(listen: Call<Listen>, kind: JobKind, song: Song) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let heard = !song.audio_codes.is_empty();
    let name = Signal::derive(move || match kind {
        JobKind::Understand => t_string!(i18n, lm.transcribe),
        _ => t_string!(i18n, lm.encode),
    });
    let hint = Signal::derive(move || match kind {
        JobKind::Understand => t_string!(i18n, lm.transcribe_hint),
        _ => t_string!(i18n, lm.encode_hint),
    });
    let off = Memo::new(move |_| off_because(i18n, store, kind, heard));
    view! { <AskItem listen kind id=song.id name hint off /> }.into_any()
}

/// One thing that can be asked of a song, with what it does or why it cannot be done.
#[component]
pub fn AskItem(
    /// Asks.
    listen: Call<Listen>,
    /// What is asked.
    kind: JobKind,
    /// Of the song of this id.
    id: String,
    /// What the button says.
    name: Signal<&'static str>,
    /// What it does.
    hint: Signal<&'static str>,
    /// Why it cannot be done.
    off: Memo<Option<String>>,
    /// About how long it takes, where that is known.
    #[prop(optional, into)]
    takes: MaybeProp<String>,
) -> impl IntoView {
    let why = format!("{}-{id}", kind.as_str());
    let (described, told) = (why.clone(), why.clone());
    // The menu closed with the choice; why nothing comes of it stands in it.
    Effect::new(move |_| {
        if matches!(listen.value().get(), Some(Err(_))) {
            open_round(&told);
        }
    });
    view! {
        <CallForm call=listen>
            <input type="hidden" name="kind" value=kind.as_str() />
            <input type="hidden" name="song_id" value=id />
            <button
                class="menu__item"
                type="submit"
                aria-describedby=described
                disabled=move || off.with(Option::is_some) || listen.pending().get()
            >
                {name}
                {move || {
                    takes
                        .get()
                        .filter(|_| off.with(Option::is_none))
                        .map(|takes| view! { <span class="menu__hint">{takes}</span> })
                }}
            </button>
        </CallForm>
        <p class="menu__why" id=why>
            {move || off.get().unwrap_or_else(|| hint.get().to_owned())}
        </p>
    }
    .into_any()
}

/// Why the loaded models cannot do it. `heard`: the song's codes are known, so nobody has to hear them.
pub fn off_because(i18n: Words, store: StudioStore, kind: JobKind, heard: bool) -> Option<String> {
    if !store.is_ready() {
        return Some(t_string!(i18n, generate.start_first).to_owned());
    }
    if !heard && !store.takes_codes() {
        return Some(t_string!(i18n, lm.listen_off.main).to_owned());
    }
    match (kind, store.loaded_lm()) {
        (JobKind::Understand, None) => Some(t_string!(i18n, lm.listen_off.none).to_owned()),
        (JobKind::Understand, Some(lm)) if !lm.has_codes => {
            Some(t_string!(i18n, lm.listen_off.words, name = lm.name))
        }
        _ => None,
    }
}

/// Where the answer will be, or why there is none.
#[component]
fn Answer(listen: Call<Listen>) -> impl IntoView {
    let i18n = use_i18n();
    live(move || {
        listen.value().get().map(|answer| match answer {
            Ok(_) => view! {
                <p class="menu__text" role="status">
                    {t!(i18n, lm.listen_queued)}
                    " "
                    <a href=address::GENERATE>{t!(i18n, lm.listen_go)}</a>
                </p>
            }
            .into_any(),
            Err(error) => view! {
                <Refused text=error.0.to_string() alert=true />
            }
            .into_any(),
        })
    })
}

/// Puts the codes the song was made from into the form; only where there are some.
#[component]
fn UseCodesItem(song: Song) -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let take = Call::<UseCodes>::new();
    let here = Address::expect();
    Effect::new(move |_| {
        if let Some(Ok(codes)) = take.value().get()
            && let Some((by, fields)) = fields_from_codes(&codes)
        {
            form.fill(by, &fields);
            here.go(address::GENERATE);
        }
    });
    (!song.audio_codes.is_empty()).then(|| {
        view! {
            <CallForm call=take>
                <input type="hidden" name="song_id" value=song.id />
                <button class="menu__item" type="submit">
                    {t!(i18n, lm.use_codes)}
                </button>
            </CallForm>
        }
    })
}
