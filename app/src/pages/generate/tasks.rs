//! What is made from what: the row of tasks, and behind More tasks what the loaded model cannot do, with
//! the reason.

use acestep_domain::task::TaskType;
use leptos::prelude::*;

use crate::{
    address,
    components::{icon::Icon, segmented::Segmented, select::Choice},
    i18n::{t, t_string, use_i18n},
    live::{For, Show},
    pages::generate::words::Words,
    state::{
        StudioStore,
        form::Form,
        task::{is_offered, reason_against},
    },
    word,
};

/// The name of a task in the row.
pub fn name(i18n: Words, task: TaskType) -> &'static str {
    match task {
        TaskType::Text2music => t_string!(i18n, tasks.name.text2music),
        TaskType::Cover => t_string!(i18n, tasks.name.cover),
        TaskType::Repaint => t_string!(i18n, tasks.name.repaint),
        TaskType::Lego => t_string!(i18n, tasks.name.lego),
        TaskType::Extract => t_string!(i18n, tasks.name.extract),
        TaskType::Complete => t_string!(i18n, tasks.name.complete),
    }
}

/// The row. A task that is chosen stays in it when another model is loaded; the plan says why it cannot run.
#[component]
pub fn TaskRow() -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let form = Form::expect();
    let (possible, others): (Memo<Vec<TaskType>>, Memo<Vec<TaskType>>) = (
        Memo::new(move |_| {
            let chosen = form.task();
            let mut tasks = TaskType::ALL.to_vec();
            tasks.retain(|task| *task == chosen || is_offered(store, *task));
            tasks
        }),
        Memo::new(move |_| {
            let mut tasks = TaskType::ALL.to_vec();
            tasks.retain(|task| reason_against(store, *task).is_some());
            tasks
        }),
    );
    let choices = Signal::derive(move || {
        possible
            .get()
            .into_iter()
            .map(|task| (task.as_str().to_owned(), name(i18n, task).to_owned()))
            .collect::<Vec<Choice>>()
    });
    view! {
        <Segmented
            id="task_type"
            value=form.text("task_type")
            choices
            legend=word!(i18n, params.task_type.label)
            plain=true
        />
        <Show when=move || others.with(|others| !others.is_empty())>
            <MoreTasks others />
        </Show>
    }
    .into_any()
}

/// What another model could do.
#[component]
fn MoreTasks(others: Memo<Vec<TaskType>>) -> impl IntoView {
    let i18n = use_i18n();
    let store = StudioStore::expect();
    let loaded = move || {
        store.status.with(|status| {
            status
                .model
                .as_ref()
                .map_or_else(String::new, |model| model.name.clone())
        })
    };
    view! {
        <details class="menu menu--start composer__more" id="more-tasks">
            <summary class="button button--quiet">
                <Icon name="lock" />
                {t!(i18n, tasks.more)}
                <Icon name="down" />
            </summary>
            <div class="menu__panel">
                <For each=move || others.get() key=|task| *task let:task>
                    <button
                        type="button"
                        class="menu__item"
                        disabled
                        aria-describedby="more-tasks-why"
                    >
                        {move || name(i18n, task)}
                        <span class="menu__hint" lang="en">
                            {task.as_str()}
                        </span>
                    </button>
                </For>
                <div class="menu__rule"></div>
                <p class="menu__text" id="more-tasks-why">
                    {move || t_string!(i18n, tasks.need_base, name = loaded())}
                </p>
                <a class="button button--small" href=address::SERVICE>
                    {t!(i18n, tasks.load_base)}
                </a>
            </div>
        </details>
    }
    .into_any()
}

/// The instruction the task sends the model; part of Explain.
#[component]
pub fn Instruction() -> impl IntoView {
    let i18n = use_i18n();
    let form = Form::expect();
    let text = Memo::new(move |_| {
        form.checked.with(|checked| {
            let params = &checked.params;
            form.task()
                .instruction(params.track_name.as_deref(), &params.complete_track_classes)
        })
    });
    view! {
        <p class="field__help">
            {t!(i18n, tasks.instruction)} " "
            <q lang="en" dir="ltr">
                {text}
            </q>
        </p>
    }
    .into_any()
}
