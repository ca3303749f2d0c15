//! Small needs of the browser build that no crate meets.

use js_sys::Promise;
use wasm_bindgen::{JsValue, closure::Closure};

thread_local! {
    static REFUSED: Closure<dyn FnMut(JsValue)> = Closure::new(|_| {});
}

/// Lets `promise` be refused without a word in the console; whoever calls this says where the refusal shows.
pub(crate) fn let_refuse(promise: &Promise) {
    REFUSED.with(|refused| drop(promise.catch(refused)));
}
