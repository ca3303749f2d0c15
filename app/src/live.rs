//! What follows signals, in one type.
//!
//! A closure has a type of its own, and the page's framework makes all that draws, revives and renews a view once
//! more for each. Behind a pointer they are one type, and a browser loads that code once. [`Show`] and [`For`] take
//! the place of the framework's of these names for the same reason.

use std::{
    hash::{DefaultHasher, Hash, Hasher as _},
    sync::{Arc, Mutex},
};

use leptos::{
    children::ViewFn,
    prelude::*,
    reactive::computed::ArcMemo,
    tachys::{reactive_graph::OwnedView, view::keyed::keyed},
};

/// Draws what follows signals.
pub fn live<V: IntoView + 'static>(draw: impl Fn() -> V + Send + 'static) -> AnyView {
    shared(move || draw().into_any()).into_any()
}

/// The same for a value: an attribute, a text.
pub fn shared<T: 'static>(
    follow: impl Fn() -> T + Send + 'static,
) -> Arc<Mutex<dyn FnMut() -> T + Send>> {
    Arc::new(Mutex::new(follow))
}

/// Draws one thing while something holds, and another while it does not. Neither is drawn anew when what decides
/// changes to what it was.
#[component]
pub fn Show<W: Fn() -> bool + Send + Sync + 'static>(
    /// What is drawn while it holds.
    children: ChildrenFn,
    /// What decides.
    when: W,
    /// What is drawn otherwise.
    #[prop(optional, into)]
    fallback: ViewFn,
) -> impl IntoView {
    show(Box::new(when), children, fallback)
}

fn show(
    when: Box<dyn Fn() -> bool + Send + Sync>,
    children: ChildrenFn,
    fallback: ViewFn,
) -> AnyView {
    let when = ArcMemo::new(move |_| when());
    live(move || {
        if when.get() {
            children()
        } else {
            fallback.run()
        }
    })
}

/// Draws a list whose rows keep what they are while their keys stay in it.
#[component]
pub fn For<E, I, T, K, KF, V, VF>(
    /// The items.
    each: E,
    /// What makes an item the same as one before.
    key: KF,
    /// Draws an item.
    children: VF,
) -> impl IntoView
where
    E: Fn() -> I + Send + 'static,
    I: IntoIterator<Item = T>,
    T: Send + 'static,
    K: Hash,
    KF: Fn(&T) -> K + Send + 'static,
    V: IntoView + 'static,
    VF: Fn(T) -> V + Clone + Send + 'static,
{
    list(Box::new(move || {
        each()
            .into_iter()
            .map(|item| {
                let children = children.clone();
                Row {
                    key: hash(&key(&item)),
                    draw: Box::new(move || children(item).into_any()),
                }
            })
            .collect()
    }))
}

/// An item that is drawn when its key is new to the list.
struct Row {
    key: u64,
    draw: Box<dyn FnOnce() -> AnyView + Send>,
}

/// 64 bits tell the rows of a page apart.
fn hash(key: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

fn list(rows: Box<dyn Fn() -> Vec<Row> + Send>) -> AnyView {
    // What a row follows ends with it, not with the list's next change.
    let list = Owner::current().unwrap_or_default();
    live(move || {
        let list = list.clone();
        keyed(
            rows(),
            |row: &Row| row.key,
            move |_, row: Row| {
                let owner = list.with(Owner::new);
                let view = owner.with(row.draw);
                (drop, OwnedView::new_with_owner(view, owner))
            },
        )
    })
}
