//! Which address shows which page, and the frame all pages share.

use leptos::prelude::*;
use leptos_router::{
    SsrMode,
    components::{Outlet, ParentRoute, Route, Routes},
    path,
};

use crate::{
    components::{
        app_bar::AppBar, error_page::NotFound, status_line::StatusLine, transport::Transport,
    },
    i18n::{t, use_i18n},
    pages::generate::{
        GeneratePage,
        dropped::{DropHint, Dropped},
    },
    parts::{ComparePage, LibraryPage, ServicePage},
};

/// Address of the Generation page.
pub const GENERATE: &str = "/";
/// Address of the library.
pub const LIBRARY: &str = "/library";
/// Address of the comparison of two songs.
pub const COMPARE: &str = "/compare";
/// Address of the Service Configuration panel.
pub const SERVICE: &str = "/service";

/// The route table. Pages are sent whole, so that they read without scripts.
#[component]
pub fn AppRoutes() -> impl IntoView {
    view! {
        <Routes fallback=NotFound>
            <ParentRoute path=path!("") view=Frame ssr=SsrMode::Async>
                <Route path=path!("") view=GeneratePage ssr=SsrMode::Async />
                <Route path=path!("/library/:id?") view=LibraryPage ssr=SsrMode::Async />
                <Route path=path!("/compare") view=ComparePage ssr=SsrMode::Async />
                <Route path=path!("/service") view=ServicePage ssr=SsrMode::Async />
            </ParentRoute>
        </Routes>
    }
}

/// Bar, status line, page, player: their order is the reading order.
#[component]
fn Frame() -> impl IntoView {
    let i18n = use_i18n();
    Dropped::provide();
    view! {
        <a class="skip-link" href="#main">
            {t!(i18n, common.skip)}
        </a>
        <div class="app app--fixed">
            <AppBar />
            <StatusLine />
            <Outlet />
            <Transport />
        </div>
        <DropHint />
    }
}
