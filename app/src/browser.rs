//! Small needs of the browser build that no crate meets.

use js_sys::Promise;
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};
use web_sys::{FormData, HtmlFormElement, SubmitEvent, UrlSearchParams};

thread_local! {
    static REFUSED: Closure<dyn FnMut(JsValue)> = Closure::new(|_| {});
}

/// Lets `promise` be refused without a word in the console; whoever calls this says where the refusal shows.
pub(crate) fn let_refuse(promise: &Promise) {
    REFUSED.with(|refused| drop(promise.catch(refused)));
}

/// A form that is being sent, and the button it is sent by.
pub(crate) struct SentForm(HtmlFormElement, Option<(String, String)>);

impl SentForm {
    pub(crate) fn by(event: &SubmitEvent) -> Option<Self> {
        let form = event.target()?.dyn_into().ok()?;
        let button = event.submitter().and_then(|button| {
            let value = button.get_attribute("value").unwrap_or_default();
            Some((button.get_attribute("name")?, value))
        });
        Some(Self(form, button))
    }

    /// What stands in it now, as forms are encoded.
    pub(crate) fn fields(&self) -> Result<String, JsValue> {
        let Self(form, button) = self;
        let fields = FormData::new_with_form(form)?;
        if let Some((name, value)) = button {
            fields.append_with_str(name, value)?;
        }
        let fields = UrlSearchParams::new_with_str_sequence_sequence(&fields)?;
        Ok(fields.to_string().into())
    }
}
