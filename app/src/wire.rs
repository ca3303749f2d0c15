//! What crosses the wire between page and studio: JSON, read in two ways.
//!
//! Server functions, and what comes with the document, are the page's own: their structs are lists of their fields.
//! What is of the API or kept by the browser has names.

mod read;
mod write;

use leptos::{
    server::codee::{Decoder, Encoder},
    server_fn::{Bytes, ContentType, Decodes, Encodes, Format, FormatType, codec::Post},
};
use serde::{Serialize, de::DeserializeOwned};

pub use read::Unreadable;

/// Reads JSON of the API.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Unreadable> {
    read::by_name(text.as_bytes())
}

/// JSON of the API, as errors have it everywhere.
#[derive(Debug, Clone, Copy)]
pub struct ByName;

/// JSON of the page's own: of what comes with the document, and of what server functions answer.
#[derive(Debug, Clone, Copy)]
pub struct ByPlace;

/// How server functions answer.
pub type Answer = Post<ByPlace>;

/// Reads what a server function answered.
pub fn answered<T: DeserializeOwned>(text: &str) -> Result<T, Unreadable> {
    read::by_place(text.as_bytes())
}

impl<T: Serialize> Encoder<T> for ByPlace {
    type Error = serde_json::Error;
    type Encoded = String;

    fn encode(value: &T) -> serde_json::Result<String> {
        write::by_place(value).map(|value| value.to_string())
    }
}

impl<T: DeserializeOwned> Decoder<T> for ByPlace {
    type Error = Unreadable;
    type Encoded = str;

    fn decode(text: &str) -> Result<T, Unreadable> {
        answered(text)
    }
}

impl<T: Serialize> Encodes<T> for ByPlace {
    type Error = serde_json::Error;

    fn encode(value: &T) -> serde_json::Result<Bytes> {
        write::by_place(value).map(|value| Bytes::from(value.to_string()))
    }
}

impl<T: DeserializeOwned> Decodes<T> for ByPlace {
    type Error = Unreadable;

    fn decode(json: Bytes) -> Result<T, Unreadable> {
        read::by_place(&json)
    }
}

impl<T: Serialize> Encodes<T> for ByName {
    type Error = serde_json::Error;

    fn encode(value: &T) -> serde_json::Result<Bytes> {
        serde_json::to_vec(value).map(Bytes::from)
    }
}

impl<T: DeserializeOwned> Decodes<T> for ByName {
    type Error = Unreadable;

    fn decode(json: Bytes) -> Result<T, Unreadable> {
        read::by_name(&json)
    }
}

/// Both are JSON to a browser.
macro_rules! json {
    ($($codec:ty)*) => {
        $(impl ContentType for $codec {
            const CONTENT_TYPE: &'static str = "application/json";
        }

        impl FormatType for $codec {
            const FORMAT_TYPE: Format = Format::Text;
        })*
    };
}

json! { ByName ByPlace }
