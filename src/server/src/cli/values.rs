//! How flag values are read: strict, and naming what is allowed.

use std::str::FromStr;

use acestep_domain::{
    param::range_of, release::Hub, service::Quantization, timed_lyrics::LyricsFormat,
};

/// `true`, `false` and their everyday spellings; anything else is a usage error.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("allowed: true, false (or 1, 0, yes, no, on, off)".to_owned()),
    }
}

/// A switch that the tier or the machine may decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AutoSwitch(pub(crate) Option<bool>);

impl FromStr for AutoSwitch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().eq_ignore_ascii_case("auto") {
            return Ok(Self(None));
        }
        switch(text)
            .map(|on| Self(Some(on)))
            .map_err(|_| "allowed: auto, true, false (or 1, 0, yes, no, on, off)".to_owned())
    }
}

/// A number format.
pub(crate) fn quantization(text: &str) -> Result<Quantization, String> {
    Quantization::from_name(text.trim()).ok_or_else(|| "allowed: none, int8, int4".to_owned())
}

/// A file of timed lyrics.
pub(crate) fn lyrics_format(text: &str) -> Result<LyricsFormat, String> {
    let name = text.trim().to_ascii_lowercase();
    LyricsFormat::from_name(&name).ok_or_else(|| "allowed: lrc, vtt, srt".to_owned())
}

/// What differences of a score are divided by.
pub(crate) fn score_scale(text: &str) -> Result<f64, String> {
    within("score_scale", text)
}

/// How freely a language model chooses.
pub(crate) fn lm_temperature(text: &str) -> Result<f64, String> {
    within("lm_temperature", text)
}

/// A number in the range of the parameter `key`.
fn within(key: &str, text: &str) -> Result<f64, String> {
    let (low, high) = range_of(key);
    let number = text.trim().parse::<f64>().ok();
    number
        .filter(|number| (low..=high).contains(number))
        .ok_or_else(|| format!("allowed: {low} to {high}"))
}

/// Where released checkpoints come from; `auto` takes the first hub that answers.
pub(crate) fn download_source(text: &str) -> Result<DownloadSource, String> {
    let name = text.trim().to_ascii_lowercase();
    match name.as_str() {
        "auto" => Ok(DownloadSource(None)),
        name => Hub::from_name(name)
            .map(|hub| DownloadSource(Some(hub)))
            .ok_or_else(|| "allowed: auto, huggingface, modelscope".to_owned()),
    }
}

/// A hub, or none in particular.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DownloadSource(pub(crate) Option<Hub>);

/// A port; 0 = any free one.
pub(crate) fn port(text: &str) -> Result<u16, String> {
    text.trim()
        .parse()
        .map_err(|_| "allowed: 0 to 65535 (0 = any free port)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_are_strict() {
        for (text, value) in [
            ("true", true),
            ("YES", true),
            ("1", true),
            ("on", true),
            ("False", false),
            ("0", false),
            ("no", false),
            (" off ", false),
        ] {
            assert_eq!(switch(text), Ok(value), "{text}");
        }
        for text in ["", "auto", "maybe", "2", "y", "truee"] {
            assert!(switch(text).is_err(), "{text}");
        }
        assert_eq!("Auto".parse(), Ok(AutoSwitch(None)));
        assert_eq!("off".parse(), Ok(AutoSwitch(Some(false))));
        assert!("default".parse::<AutoSwitch>().is_err());
    }
}
