//! Numbers as people type them.

/// Reads a decimal number, with or without fraction and exponent; no blanks, no units.
///
/// A browser reads numbers itself: the tables of Rust's reader would be a thirtieth of the page's program.
pub fn decimal(text: &str) -> Option<f64> {
    #[cfg(target_family = "wasm")]
    {
        let is_one = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
        if text.is_empty() || !text.bytes().all(is_one) {
            return None;
        }
        let number = wasm_bindgen::JsValue::from_str(text).unchecked_into_f64();
        (!number.is_nan()).then_some(number)
    }
    #[cfg(not(target_family = "wasm"))]
    {
        text.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn a_number_is_read_whole_or_not() {
        for (text, number) in [
            ("120", Some(120.0)),
            ("-0.5", Some(-0.5)),
            (".5", Some(0.5)),
            ("1e3", Some(1000.0)),
            ("", None),
            ("1,5", None),
            ("0x10", None),
            ("12 s", None),
        ] {
            assert_eq!(decimal(text), number, "{text}");
        }
    }
}
