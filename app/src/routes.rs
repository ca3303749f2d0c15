//! Which address shows which page, and the frame all pages share.

use leptos::prelude::*;

use crate::{
    address::{Address, Page},
    components::{
        app_bar::AppBar, error_page::NotFound, status_line::StatusLine, transport::Transport,
    },
    i18n::{t, use_i18n},
    live::live,
    pages::generate::{
        GeneratePage,
        dropped::{DropHint, Dropped},
    },
    parts::{ComparePage, LibraryPage, ServicePage},
};

/// Bar, status line, page, player: their order is the reading order.
#[component]
pub fn Frame() -> impl IntoView {
    let i18n = use_i18n();
    let path = Address::expect().path;
    let page = Memo::new(move |_| path.with(|path| Page::at(path)));
    Effect::new(move |_| document().set_title(&crate::title(page.get(), i18n.get_locale())));
    Dropped::provide();
    view! {
        <a class="skip-link" href="#main">
            {t!(i18n, common.skip)}
        </a>
        <div class="app app--fixed">
            <AppBar />
            <StatusLine />
            {live(move || match page.get() {
                Page::Generate => view! { <GeneratePage /> }.into_any(),
                Page::Library => view! { <LibraryPage /> }.into_any(),
                Page::Compare => view! { <ComparePage /> }.into_any(),
                Page::Service => view! { <ServicePage /> }.into_any(),
                Page::None => view! { <NotFound /> }.into_any(),
            })}
            <Transport />
        </div>
        <DropHint />
    }
    .into_any()
}
