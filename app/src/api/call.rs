//! Calls of server functions: awaited, pressed, or sent as forms.
//!
//! The framework's own client and forms read a form into its type and write it again, once for each type; a browser
//! would load all of that before it sends what the form says already.

use std::marker::PhantomData;

use leptos::{
    ev::SubmitEvent,
    html,
    prelude::*,
    server_fn::{ServerFn, error::ServerFnUrlError},
};
use serde::Serialize;

use super::ApiError;
use crate::parts::Sleepers;

/// A server function that the page calls.
pub trait ServerCall:
    ServerFn<Error = ApiError, Output: serde::de::DeserializeOwned + Send + Sync + 'static>
    + Serialize
    + Send
    + 'static
{
}

impl<S> ServerCall for S where
    S: ServerFn<Error = ApiError, Output: serde::de::DeserializeOwned + Send + Sync + 'static>
        + Serialize
        + Send
        + 'static
{
}

/// Calls a server function: the studio's from a browser, its body on the server.
///
/// # Errors
/// As the function says, or `unreachable` and `internal` of the way there.
#[cfg(not(feature = "hydrate"))]
pub async fn ask<S: ServerCall>(call: S) -> Result<S::Output, ApiError> {
    call.run_body().await
}

#[cfg(feature = "hydrate")]
pub use browser::ask;

/// A call that a control makes, and what became of it. Cheap to copy.
pub struct Call<S: ServerCall> {
    state: State<S::Output>,
    of: PhantomData<fn() -> S>,
}

/// What became of a call. Calls of one kind of answer share the code that sends them.
struct State<T: Send + Sync + 'static> {
    running: RwSignal<usize>,
    answered: RwSignal<usize>,
    sent: RwSignal<String>,
    value: RwSignal<Option<Result<T, ApiError>>>,
}

impl<T: Send + Sync + 'static> Clone for State<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for State<T> {}

impl<S: ServerCall> Clone for Call<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: ServerCall> Copy for Call<S> {}

impl<S: ServerCall> Call<S> {
    /// A call that was not made yet, or was made by a form without scripts and refused.
    #[expect(
        clippy::new_without_default,
        reason = "it makes signals of the current owner"
    )]
    pub fn new() -> Self {
        let refused = use_context::<ServerActionError>()
            .filter(|refused| refused.path() == S::PATH)
            .map(|refused| Err(ServerFnUrlError::<ApiError>::decode_err(refused.err())));
        Self {
            state: State {
                running: RwSignal::new(0),
                answered: RwSignal::new(0),
                sent: RwSignal::new(String::new()),
                value: RwSignal::new(refused),
            },
            of: PhantomData,
        }
    }

    /// Whether an answer is awaited.
    pub fn pending(self) -> Memo<bool> {
        Memo::new(move |_| self.state.running.get() > 0)
    }

    /// How often it was answered.
    pub fn version(self) -> RwSignal<usize> {
        self.state.answered
    }

    /// The last answer.
    pub fn value(self) -> RwSignal<Option<Result<S::Output, ApiError>>> {
        self.state.value
    }

    /// What was sent last, as a form encodes it.
    pub fn sent(self) -> RwSignal<String> {
        self.state.sent
    }

    /// Makes the call.
    pub fn dispatch(self, call: S) {
        #[cfg(feature = "hydrate")]
        self.send(browser::form_of(&call));
        #[cfg(not(feature = "hydrate"))]
        drop(call);
    }

    #[cfg(feature = "hydrate")]
    fn send(self, form: Result<String, ApiError>) {
        browser::send(S::url(), form, self.state);
    }
}

/// A form that makes a call, with scripts or without. What sleeps in it is woken before.
#[component]
pub fn CallForm<S: ServerCall>(
    /// What it calls.
    call: Call<S>,
    /// The fields.
    children: Children,
) -> impl IntoView {
    let sleepers = use_context::<Sleepers>();
    form(
        S::url(),
        children,
        Box::new(move |event| {
            #[cfg(feature = "hydrate")]
            if let Some(form) = crate::browser::SentForm::by(&event) {
                let Some(sleepers) = sleepers else {
                    call.send(form.fields().map_err(browser::unreadable));
                    return;
                };
                leptos::task::spawn_local(async move {
                    sleepers.wake().await;
                    call.send(form.fields().map_err(browser::unreadable));
                });
            }
            #[cfg(not(feature = "hydrate"))]
            let _ = (call, sleepers, event);
        }),
    )
}

fn form(url: &'static str, children: Children, send: Box<dyn Fn(SubmitEvent)>) -> AnyView {
    html::form()
        .action(url)
        .method("post")
        .on(leptos::ev::submit, move |event: SubmitEvent| {
            if !event.default_prevented() {
                event.prevent_default();
                send(event);
            }
        })
        .child(children())
        .into_any()
}

#[cfg(feature = "hydrate")]
mod browser {
    use acestep_domain::UserError;
    use js_sys::futures::JsFuture;
    use leptos::{
        prelude::*,
        server_fn::error::{FromServerFnError, ServerFnErrorErr},
    };
    use send_wrapper::SendWrapper;
    use serde::{Serialize, de::DeserializeOwned};
    use serde_json::Value;
    use wasm_bindgen::{JsCast as _, JsValue};
    use web_sys::{Headers, RequestInit, Response, UrlSearchParams};

    use super::{super::ApiError, ServerCall, State};
    use crate::wire::Unreadable;

    /// Calls a server function.
    ///
    /// # Errors
    /// As the function says, or `unreachable` and `internal` of the way there.
    pub async fn ask<S: ServerCall>(call: S) -> Result<S::Output, ApiError> {
        let form = form_of(&call)?;
        let answer = SendWrapper::new(async move { post(S::url(), &form).await });
        understood(crate::wire::answered(&answer.await?))
    }

    pub(super) fn send<T: DeserializeOwned + Send + Sync + 'static>(
        url: &'static str,
        form: Result<String, ApiError>,
        state: State<T>,
    ) {
        state.running.update(|calls| *calls += 1);
        state.sent.set(form.as_ref().cloned().unwrap_or_default());
        leptos::task::spawn_local(async move {
            let answer = match form {
                Ok(form) => post(url, &form).await,
                Err(error) => Err(error),
            };
            // What called may be gone meanwhile.
            state.value.try_set(Some(
                answer.and_then(|answer| understood(crate::wire::answered(&answer))),
            ));
            state.running.try_update(|calls| *calls -= 1);
            state.answered.try_update(|times| *times += 1);
        });
    }

    /// The arguments of a call as a form would send them.
    pub(super) fn form_of<S: Serialize>(call: &S) -> Result<String, ApiError> {
        let arguments = serde_json::to_value(call).map_err(|error| {
            ApiError::from_server_fn_error(ServerFnErrorErr::Serialization(error.to_string()))
        })?;
        let form = UrlSearchParams::new().map_err(unreadable)?;
        for (name, value) in arguments.as_object().into_iter().flatten() {
            add(&form, name, value);
        }
        Ok(form.to_string().into())
    }

    /// Adds an argument; what is inside one is named `argument[name]` and `argument[0]`.
    fn add(form: &UrlSearchParams, name: &str, value: &Value) {
        match value {
            // What is absent has its default there.
            Value::Null => {}
            Value::String(text) => form.append(name, text),
            Value::Object(map) => {
                for (inner, value) in map {
                    add(form, &format!("{name}[{inner}]"), value);
                }
            }
            Value::Array(items) => {
                for (place, value) in items.iter().enumerate() {
                    add(form, &format!("{name}[{place}]"), value);
                }
            }
            Value::Bool(_) | Value::Number(_) => form.append(name, &value.to_string()),
        }
    }

    pub(super) fn unreadable(error: JsValue) -> ApiError {
        ApiError::from_server_fn_error(ServerFnErrorErr::Args(format!("{error:?}")))
    }

    async fn post(url: &str, form: &str) -> Result<String, ApiError> {
        let asked = RequestInit::new();
        let headers = Headers::new().map_err(unreachable)?;
        for (name, value) in [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Accept", "application/json"),
        ] {
            headers.set(name, value).map_err(unreachable)?;
        }
        asked.set_headers(&headers);
        asked.set_body(&JsValue::from_str(form));
        fetch(url, &asked).await
    }

    /// Posts, and gives what was answered, or the error that was.
    pub(in super::super) async fn fetch(
        url: &str,
        asked: &RequestInit,
    ) -> Result<String, ApiError> {
        asked.set_method("POST");
        let answer = JsFuture::from(window().fetch_with_str_and_init(url, asked))
            .await
            .map_err(unreachable)?;
        let answer: Response = answer.unchecked_into();
        let text = JsFuture::from(answer.text().map_err(unreachable)?)
            .await
            .map_err(unreachable)?;
        let text = text.as_string().unwrap_or_default();
        if answer.ok() {
            return Ok(text);
        }
        Err(ApiError(crate::wire::read(&text).unwrap_or_else(|_| {
            UserError::new(
                "internal",
                format!("The studio answered {}.", answer.status()),
                "Try again; if that does not help, reload the page.",
            )
        })))
    }

    pub(in super::super) fn understood<T>(read: Result<T, Unreadable>) -> Result<T, ApiError> {
        read.map_err(|error| {
            ApiError::from_server_fn_error(ServerFnErrorErr::Deserialization(error.to_string()))
        })
    }

    fn unreachable(_: JsValue) -> ApiError {
        ApiError::from_server_fn_error(ServerFnErrorErr::Request(String::new()))
    }
}

#[cfg(feature = "hydrate")]
pub(super) use browser::{fetch, understood};
