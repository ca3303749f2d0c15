//! Several lines of text bound to a signal.

use acestep_domain::UserError;
use leptos::{html, prelude::*};

/// The field.
#[component]
pub fn TextArea(
    /// Key in the form, and id.
    id: &'static str,
    /// The text.
    value: RwSignal<String>,
    /// Lines shown at first.
    rows: u32,
    /// Direction of the text: `auto` for words, `ltr` for code.
    #[prop(default = "auto")]
    dir: &'static str,
    /// Shown while empty.
    #[prop(optional, into)]
    placeholder: MaybeProp<String>,
    /// What is wrong.
    #[prop(optional, into)]
    error: Signal<Option<UserError>>,
    /// It can be read and not changed; it is sent all the same.
    #[prop(default = Signal::stored(false), into)]
    off: Signal<bool>,
    /// Id of why it cannot be changed.
    #[prop(optional)]
    described_by: &'static str,
    /// The element, for whoever moves the focus there.
    #[prop(optional)]
    node_ref: NodeRef<html::Textarea>,
) -> impl IntoView {
    view! {
        <textarea
            class="field__input"
            class:mono=dir == "ltr"
            id=id
            name=id
            rows=rows
            dir=dir
            spellcheck=(dir == "ltr").then_some("false")
            placeholder=move || placeholder.get()
            aria-invalid=move || error.with(Option::is_some).then_some("true")
            aria-describedby=format!("{id}-error {described_by}").trim_end().to_owned()
            readonly=move || off.get()
            node_ref=node_ref
            prop:value=move || value.get()
            on:input:target=move |event| value.set(event.target().value())
            inner_html=area_html(&value.get_untracked())
        ></textarea>
    }
    .into_any()
}

/// What stands in a text area as the server draws it: escaped, after the line break that HTML swallows.
/// Not a child: an empty one would be drawn as a space, which the field would then hold.
fn area_html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
    format!("\n{escaped}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_end_its_field() {
        assert_eq!(
            area_html("</textarea><b>&amp;"),
            "\n&lt;/textarea>&lt;b>&amp;amp;"
        );
        assert_eq!(area_html(""), "\n");
    }
}
