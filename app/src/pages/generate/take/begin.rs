//! What can be begun with a song: Remix, Repaint, Extend, Extract stems, Use as reference. Each sets the
//! task, the source and the fields that apply, on the Generate page, with one note and Undo.

use acestep_domain::library::Song;
use leptos::{prelude::*, server_fn::ServerFn};

use crate::{
    address::{self, Address},
    api::songs::Begin,
    components::icon::Icon,
    i18n::{t_string, use_i18n},
    pages::generate::words::Words,
    state::{
        StudioStore,
        fill::FilledBy,
        form::Form,
        song_action::{SongAction, can_extend},
        task::reason_against,
    },
};

fn name(i18n: Words, action: SongAction) -> &'static str {
    match action {
        SongAction::Remix => t_string!(i18n, tasks.action.remix),
        SongAction::Repaint => t_string!(i18n, tasks.action.repaint),
        SongAction::Extend => t_string!(i18n, tasks.action.extend),
        SongAction::Extract => t_string!(i18n, tasks.action.extract),
        SongAction::Reference => t_string!(i18n, tasks.action.reference),
    }
}

/// Buttons for `actions`, each with why it cannot be done.
#[component]
pub fn BeginItems(
    /// The song.
    song: Song,
    /// Which of them.
    #[prop(into)]
    actions: Vec<SongAction>,
    /// Lines of a menu; otherwise buttons with a sign.
    #[prop(optional)]
    in_menu: bool,
) -> impl IntoView {
    actions
        .into_iter()
        .map(|action| {
            let song = song.clone();
            view! { <BeginItem song action in_menu /> }
        })
        .collect_view()
}

#[component]
fn BeginItem(song: Song, action: SongAction, in_menu: bool) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let form = Form::expect();
    let here = Address::expect();
    let (id, secs) = (song.id.clone(), song.duration_secs);
    let off = Memo::new(move |_| {
        if action == SongAction::Extend && !can_extend(secs, store.bounds().limits().0) {
            return Some(t_string!(i18n, tasks.action.too_long).to_owned());
        }
        let against = action.task().and_then(|task| reason_against(store, task));
        against.map(|_| {
            let model = store.status.with(|status| {
                status
                    .model
                    .as_ref()
                    .map_or_else(String::new, |model| model.name.clone())
            });
            t_string!(i18n, tasks.need_base, name = model)
        })
    });
    let press = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let max_secs = untrack(|| store.bounds()).limits().0;
        let fields = action.fields(&song, &untrack(|| form.json()), max_secs);
        form.fill(FilledBy::Action(action), &fields);
        if here.path.get_untracked() != address::GENERATE {
            here.go(address::GENERATE);
        }
        show_composer(form);
    };
    let why = format!("{}-{id}", action.as_str());
    let described = why.clone();
    let icon = match action {
        SongAction::Remix => "remix",
        SongAction::Repaint => "repaint",
        SongAction::Extend => "extend",
        SongAction::Extract => "format",
        SongAction::Reference => "reference",
    };
    let class = if in_menu {
        "menu__item"
    } else {
        "button button--small"
    };
    let why_class = if in_menu {
        "menu__why"
    } else {
        "visually-hidden"
    };
    view! {
        <form method="post" action=Begin::url() on:submit=press>
            <input type="hidden" name="song_id" value=id />
            <input type="hidden" name="action" value=action.as_str() />
            <button
                class=class
                type="submit"
                aria-describedby=move || off.with(Option::is_some).then(|| described.clone())
                title=move || (!in_menu).then(|| off.get()).flatten()
                disabled=move || off.with(Option::is_some)
            >
                {(!in_menu)
                    .then(|| {
                        let flip = if action == SongAction::Extend { "icon--flip" } else { "" };
                        view! { <Icon name=icon class=flip /> }
                    })}
                {move || name(i18n, action)}
            </button>
        </form>
        {move || {
            off.get()
                .map(|reason| {
                    view! {
                        <p class=why_class id=why.clone()>
                            {reason}
                        </p>
                    }
                })
        }}
    }
    .into_any()
}

/// Brings the form into view, also on a phone that shows the takes.
pub fn show_composer(form: Form) {
    form.shows_takes.set(false);
    #[cfg(feature = "hydrate")]
    request_animation_frame(|| {
        if let Some(form) = document().get_element_by_id(crate::pages::generate::FORM) {
            form.scroll_into_view();
        }
    });
}
