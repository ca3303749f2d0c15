//! The main model: the list of what is there, and a folder typed by hand.

use acestep_domain::{capabilities::ModelEntry, task::Family};
use leptos::{prelude::*, server_fn::ServerFn};

use super::{
    downloads::Released,
    form::{Draft, OTHER_PATH},
};
use crate::{
    api::{call::Call, service::Rescan},
    components::{
        icon::Icon,
        model_list::{ModelList, ModelRow},
        note::Notes,
    },
    i18n::{Locale, t, t_string, td_string, use_i18n},
    live::{Show, live},
    state::StudioStore,
};

/// What there is, and a folder typed by hand.
#[component]
pub fn Models(draft: Draft) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let rescan = Call::<Rescan>::new();
    Effect::new(move |_| {
        if rescan.version().get() > 0 {
            store.refresh();
        }
    });
    let models = Memo::new(move |_| store.status.with(|status| status.models.clone()));
    let only_demo =
        Memo::new(move |_| models.with(|models| models.iter().all(|model| model.built_in)));
    let search = move |event: leptos::ev::MouseEvent| {
        event.prevent_default();
        rescan.dispatch(Rescan {});
    };
    view! {
            <section class="service__group" aria-labelledby="main-model">
                <div class="service__group-title">
                    <h2 id="main-model">{t!(i18n, service.main_model)}</h2>
                    <span class="field__aside">{t!(i18n, service.config_path)}</span>
                    <button
                        class="button button--quiet button--small"
                        formaction=Rescan::url()
                        formnovalidate=true
                        on:click=search
                    >
                        <Icon
                            name="refresh"
                            class=Signal::derive(move || {
                                if rescan.pending().get() { "icon--spin" } else { "" }
                            })
                        />
                        {t!(i18n, service.rescan)}
                    </button>
                </div>
                <ModelList label=Signal::derive(move || t_string!(i18n, service.main_model).to_owned())>
                    {move || {
                        models
                            .get()
                            .into_iter()
                            .enumerate()
                            .map(|(index, model)| view! { <Row draft index model /> })
                            .collect_view()
                    }}
                </ModelList>
                <Show when=move || only_demo.get()>
                    <p class="note note--info">
                        <Icon name="folder" />
                        <span>{t!(i18n, service.only_demo)}</span>
                    </p>
                </Show>
                <Released only_demo />
                <OtherPath draft />
            </section>
    }
    .into_any()
}

#[component]
fn Row(draft: Draft, index: usize, model: ModelEntry) -> impl IntoView {
    let i18n = use_i18n();
    let name = model.name.clone();
    let (family, built_in, bytes) = (model.family, model.built_in, model.size_bytes);
    let chosen = Memo::new(move |_| {
        draft
            .settled
            .with(|(resolved, _)| resolved.config_path == name)
    });
    let choose = move |name: String| {
        draft.other_path.set(String::new());
        draft
            .config
            .update(|config| config.config_path = Some(name));
    };
    let about = move || match family {
        _ if built_in => t_string!(i18n, service.about_demo),
        Family::Turbo => t_string!(i18n, service.about_turbo),
        Family::Base => t_string!(i18n, service.about_base),
    };
    let damaged = model.problem.is_some();
    let badge = move || match (damaged, built_in) {
        (true, _) => t_string!(i18n, service.damaged),
        (_, true) => t_string!(i18n, service.built_in),
        _ => t_string!(i18n, service.installed),
    };
    let icon = if damaged { "error" } else { "check" };
    let problem = model.problem;
    view! {
        <ModelRow
            id=format!("model-{index}")
            group="config_path"
            name=model.name
            chosen
            on_choose=choose
            about=Signal::derive(move || about().to_owned())
            off=Signal::derive(move || problem.clone())
        >
            <bdi dir="ltr">{move || size_text(bytes, i18n.get_locale())}</bdi>
            <span class="badge">
                <Icon name=icon />
                {live(badge)}
            </span>
        </ModelRow>
    }
    .into_any()
}

/// A size as a download page says it.
pub fn size_text(bytes: u64, locale: Locale) -> String {
    let mb = bytes as f64 / 1e6;
    if mb >= 1000.0 {
        let size = format!("{:.1}", mb / 1000.0);
        td_string!(locale, service.size_gb, size = size)
    } else {
        let size = format!("{mb:.0}");
        td_string!(locale, service.size_mb, size = size)
    }
}

#[component]
fn OtherPath(draft: Draft) -> impl IntoView {
    let i18n = use_i18n();
    let notes = draft.notes("config_path");
    view! {
        <div class="field">
            <label class="field__label" for=OTHER_PATH>
                {t!(i18n, service.other_path)}
                <span class="field__aside">{t!(i18n, service.other_path_aside)}</span>
            </label>
            <input
                class="field__input mono"
                id=OTHER_PATH
                name=OTHER_PATH
                dir="ltr"
                autocomplete="off"
                spellcheck="false"
                placeholder="acestep-v15-turbo-shift3"
                value=draft.other_path.get_untracked()
                prop:value=move || draft.other_path.get()
                on:input=move |event| draft.other_path.set(event_target_value(&event))
            />
            <p class="field__help">{t!(i18n, service.other_path_help)}</p>
            <Notes notes />
        </div>
    }
    .into_any()
}
