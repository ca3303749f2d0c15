//! The plan as the codes prompt repeats it: PyYAML's block style, as the training text had it.
//!
//! Only what a plan can hold is written: single-line texts and whole numbers. Reference: PyYAML
//! 6.0 `yaml.dump(…, allow_unicode=True, sort_keys=True)`, width 80.

/// Columns after which a text is broken at the next single space.
const WIDTH: usize = 80;

/// A value of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar {
    /// A whole number.
    Number(u32),
    /// One line of text.
    Text(String),
}

/// The lines of `fields`, in their order, without the last line break.
pub fn dump(fields: &[(&str, Scalar)]) -> String {
    let lines: Vec<String> = fields
        .iter()
        .map(|(key, value)| match value {
            Scalar::Number(number) => format!("{key}: {number}"),
            Scalar::Text(text) => scalar(key, text),
        })
        .collect();
    lines.join("\n")
}

fn scalar(key: &str, text: &str) -> String {
    let start = key.chars().count() + 2;
    if text.chars().any(char::is_control) {
        return format!("{key}: {}", double_quoted(text));
    }
    if is_plain(text) {
        format!("{key}: {}", folded(text, start))
    } else {
        let quoted = format!("'{}'", text.replace('\'', "''"));
        format!("{key}: {}", folded(&quoted, start))
    }
}

/// Breaks at single spaces once a word has ended beyond the width.
fn folded(text: &str, start: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut lines = String::new();
    let mut column = start;
    let quoted = text.starts_with('\'');
    for (index, letter) in chars.iter().enumerate() {
        let single = *letter == ' '
            && index > 0
            && chars[index - 1] != ' '
            && chars.get(index + 1).is_some_and(|next| *next != ' ');
        // A quoted text is not broken right after its first or right before its last quote.
        let inside = !quoted || (index > 1 && index + 2 < chars.len());
        if single && inside && column > WIDTH {
            lines.push_str("\n  ");
            column = 2;
        } else {
            lines.push(*letter);
            column += 1;
        }
    }
    lines
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\0' => quoted.push_str("\\0"),
            letter if letter.is_control() => {
                quoted.push_str(&format!("\\x{:02X}", letter as u32));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A text that needs no quotes to be read back as itself.
fn is_plain(text: &str) -> bool {
    let mut chars = text.chars();
    let Some(first) = chars.next() else {
        return false;
    };
    let second = chars.next();
    let leads = match first {
        '[' | ']' | '{' | '}' | ',' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
        | '@' | '`' => true,
        '-' | '?' | ':' => second.is_none_or(char::is_whitespace),
        _ => false,
    };
    let marks = text.starts_with("---") || text.starts_with("...");
    !leads
        && !marks
        && text.trim_matches(' ') == text
        && !text.contains(": ")
        && !text.ends_with(':')
        && !text.contains(" #")
        && !means_something_else(text)
}

/// Read by YAML 1.1 as another type than text.
fn means_something_else(text: &str) -> bool {
    const WORDS: [&str; 12] = [
        "null", "true", "false", "yes", "no", "on", "off", "~", "=", "<<", ".nan", ".inf",
    ];
    let usual_case = |word: &str| {
        let mut capital = word.to_owned();
        if let Some(head) = capital.get_mut(..1) {
            head.make_ascii_uppercase();
        }
        text == word || text == word.to_ascii_uppercase() || text == capital
    };
    let special_float = matches!(
        text.trim_start_matches(['-', '+']),
        ".inf" | ".Inf" | ".INF"
    ) || matches!(text, ".NaN" | ".NAN");
    WORDS.iter().any(|word| usual_case(word)) || special_float || is_number(text) || is_date(text)
}

fn is_number(text: &str) -> bool {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |text: &str, allowed: fn(&u8) -> bool| {
        !text.is_empty() && text.bytes().all(|byte| byte == b'_' || allowed(&byte))
    };
    if !body.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return false;
    }
    if let Some(hex) = body.strip_prefix("0x") {
        return digits(hex, u8::is_ascii_hexdigit);
    }
    if let Some(binary) = body.strip_prefix("0b") {
        return digits(binary, |byte| matches!(byte, b'0' | b'1'));
    }
    // Base 60: 1:30, 1:30.5
    if let Some((head, rest)) = body.split_once(':') {
        let (minutes, fraction) = rest.split_once('.').unwrap_or((rest, ""));
        let sixty = |part: &str| {
            (1..=2).contains(&part.len()) && part.parse::<u8>().is_ok_and(|number| number < 60)
        };
        return digits(head, u8::is_ascii_digit)
            && minutes.split(':').all(sixty)
            && fraction
                .bytes()
                .all(|byte| byte == b'_' || byte.is_ascii_digit());
    }
    let (mantissa, exponent) = body
        .split_once(['e', 'E'])
        .map_or((body, None), |(mantissa, exponent)| {
            (mantissa, Some(exponent))
        });
    let (whole, fraction) = mantissa
        .split_once('.')
        .map_or((mantissa, None), |(whole, fraction)| {
            (whole, Some(fraction))
        });
    let whole_is = digits(whole, u8::is_ascii_digit);
    let fraction_is =
        fraction.is_none_or(|text| text.is_empty() || digits(text, u8::is_ascii_digit));
    match (fraction, exponent) {
        // An exponent needs a point and a sign: 1e5 is text.
        (None, None) => {
            whole_is
                && (whole == "0"
                    || !whole.starts_with('0')
                    || whole.bytes().all(|byte| matches!(byte, b'0'..=b'7' | b'_')))
        }
        (None, Some(_)) => false,
        (Some(fraction), exponent) => {
            let signed = exponent.is_none_or(|exponent| {
                exponent
                    .strip_prefix(['-', '+'])
                    .is_some_and(|rest| digits(rest, u8::is_ascii_digit))
            });
            (whole_is || (whole.is_empty() && !fraction.is_empty())) && fraction_is && signed
        }
    }
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(3, '-').collect();
    let [year, month, rest] = parts[..] else {
        return false;
    };
    let number = |text: &str, widths: std::ops::RangeInclusive<usize>| {
        widths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let day_end = rest
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(rest.len());
    let (day, time) = rest.split_at(day_end);
    let time_like =
        time.is_empty() || (time.starts_with(['T', 't', ' ']) && time.matches(':').count() >= 2);
    number(year, 4..=4)
        && number(month, 1..=2)
        && number(day, 1..=2)
        && time_like
        && (!time.is_empty() || (month.len() == 2 && day.len() == 2))
}

#[cfg(test)]
mod tests;
