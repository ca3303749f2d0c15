//! What was sent in, as a place that takes recordings offers it: to choose again, or to delete.

use acestep_domain::library::Upload;
use leptos::prelude::*;

use super::{close, focus_place};
use crate::{
    api::{
        ApiError,
        call::ask,
        recordings::{DeleteUpload, Recording},
    },
    components::{figures, icon::Icon, note::Refused},
    i18n::{t, t_string, use_i18n},
    live::{Show, live},
    pages::generate::uploading::Uploading,
    player::clock,
    state::{form::Form, recordings::Recordings},
};

/// Asks for the list.
pub type GetUploads = Action<(), Result<Vec<Upload>, ApiError>>;

/// The list, newest first.
#[component]
pub(super) fn Uploads(
    own: GetUploads,
    dialog: &'static str,
    uploading: Uploading,
) -> impl IntoView {
    let i18n = use_i18n();
    live(move || match own.value().get() {
        None => ().into_any(),
        Some(Err(error)) => view! {
            <Refused text=error.0.to_string() alert=true />
        }
        .into_any(),
        Some(Ok(uploads)) if uploads.is_empty() => {
            view! { <p class="section__count">{t!(i18n, tasks.uploads.none)}</p> }.into_any()
        }
        Some(Ok(uploads)) => uploads
            .into_iter()
            .map(|upload| view! { <Row upload own dialog uploading /> })
            .collect_view()
            .into_any(),
    })
}

/// One of them. Deleting asks once more, in its place: a recording of the microphone is nowhere else.
#[component]
fn Row(
    upload: Upload,
    own: GetUploads,
    dialog: &'static str,
    uploading: Uploading,
) -> impl IntoView {
    let i18n = use_i18n();
    let (form, recordings) = (Form::expect(), Recordings::expect());
    let sure = RwSignal::new(false);
    let recording = StoredValue::new(Recording::from(&upload));
    let id = StoredValue::new(upload.id.clone());
    let delete = Action::new(move |(): &()| async move {
        let id = id.get_value();
        ask(DeleteUpload { id: id.clone() }).await?;
        recordings.forget(&id);
        own.dispatch(());
        // Without its source the place is drawn anew, and this list goes with it.
        if form.let_go(&id) {
            focus_place("source-choose");
        }
        Ok::<(), ApiError>(())
    });
    let failed = move || match delete.value().get() {
        Some(Err(error)) => Some(error.0.to_string()),
        _ => None,
    };
    let made = figures::made_at(&upload.created_at);
    let until = upload.expires_at.chars().take(10).collect::<String>();
    let about = move || {
        t_string!(
            i18n,
            tasks.uploads.about,
            made = made.clone(),
            until = until.clone()
        )
    };
    let name = StoredValue::new(upload.name);
    view! {
        <div class="choose__row">
            <button
                type="button"
                class="menu__item choose__upload"
                on:click=move |_| {
                    close(dialog);
                    recording.with_value(|recording| uploading.take(recording));
                    focus_place(dialog);
                }
            >
                <span class="choose__words">
                    <bdi class="choose__name">{name.get_value()}</bdi>
                    <span class="menu__hint">{live(about)}</span>
                </span>
                <span class="menu__hint" dir="ltr">
                    {clock(upload.duration_secs)}
                </span>
            </button>
            <Show
                when=move || sure.get()
                fallback=move || {
                    view! {
                        <button
                            type="button"
                            class="button button--quiet button--small"
                            aria-label=move || {
                                t_string!(i18n, tasks.uploads.delete_named, name = name.get_value())
                            }
                            on:click=move |_| sure.set(true)
                        >
                            <Icon name="trash" />
                            {t!(i18n, library.delete)}
                        </button>
                    }
                }
            >
                <div class="choose__sure" role="group" aria-label=move || {
                    t_string!(i18n, tasks.uploads.delete_named, name = name.get_value())
                }>
                    <button
                        type="button"
                        class="button button--small button--danger"
                        disabled=move || delete.pending().get()
                        on:click=move |_| {
                            delete.dispatch(());
                        }
                    >
                        {t!(i18n, library.delete_do)}
                    </button>
                    <button
                        type="button"
                        class="button button--quiet button--small"
                        on:click=move |_| sure.set(false)
                    >
                        {t!(i18n, library.delete_keep)}
                    </button>
                </div>
            </Show>
        </div>
        {move || failed().map(|text| view! { <Refused text alert=true /> })}
    }
    .into_any()
}
