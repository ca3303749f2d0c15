//! How a song sounds, in figures: items of a `report` list.

use acestep_domain::library::Report;
use leptos::prelude::*;

use super::icon::Icon;
use crate::i18n::{t, t_string, use_i18n};
use crate::live::live;

/// A gap from here on is worth a look.
const LONG_SILENCE_SECS: f32 = 4.0;

/// What is to be said of a song's peak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Silent,
    Clipped,
    Between,
    Gap,
    Clean,
}

impl Verdict {
    fn of(report: &Report) -> Self {
        if report.peak < 1e-4 {
            Self::Silent
        } else if report.clipped_samples > 0 || report.peak > 1.0 {
            Self::Clipped
        } else if report.longest_silence_secs >= LONG_SILENCE_SECS {
            Self::Gap
        } else if report.true_peak > 1.0 {
            Self::Between
        } else {
            Self::Clean
        }
    }
}

/// The true peak, and whether something is wrong.
#[component]
pub fn Peak(
    /// The song's figures.
    report: Report,
) -> impl IntoView {
    let i18n = use_i18n();
    let verdict = Verdict::of(&report);
    let gap = report.longest_silence_secs.round();
    let words = move || match verdict {
        Verdict::Silent => t_string!(i18n, common.silent).to_owned(),
        Verdict::Clipped => t_string!(i18n, common.clipped).to_owned(),
        Verdict::Between => t_string!(i18n, common.clips_between).to_owned(),
        Verdict::Gap => t_string!(i18n, common.silent_for, secs = gap),
        Verdict::Clean => t_string!(i18n, common.not_clipped).to_owned(),
    };
    let (class, icon) = if verdict == Verdict::Clean {
        ("report__item report__item--ok", "check")
    } else {
        ("report__item report__item--warn", "warn")
    };
    view! {
        <div class=class>
            <dt>{t!(i18n, common.peak)}</dt>
            <dd>
                // Songs of before this was measured have the peak of their samples only.
                <bdi dir="ltr">{decibels(report.true_peak.max(report.peak))}</bdi>
                " "
                <Icon name=icon />
                {live(words)}
            </dd>
        </div>
    }
    .into_any()
}

/// Integrated loudness; the mean level where it could not be measured.
#[component]
pub fn Loudness(
    /// The song's figures.
    report: Report,
) -> impl IntoView {
    let i18n = use_i18n();
    // Where a gain was put on it, what it was before.
    let raw = report
        .raw_loudness_lufs
        .filter(|raw| {
            report
                .loudness_lufs
                .is_some_and(|own| (own - raw).abs() >= 0.05)
        })
        // Its sign stands before it in every direction of writing.
        .map(|raw| format!("\u{2066}{raw:.1}\u{2069}").replace('-', "−"));
    let (measured, figure) = match report.loudness_lufs {
        Some(lufs) => (true, format!("{lufs:.1} LUFS").replace('-', "−")),
        None => (false, decibels(report.rms)),
    };
    view! {
        <div class="report__item">
            <dt>
                {move || {
                    if measured { t_string!(i18n, common.loudness) } else { t_string!(i18n, common.level) }
                }}
            </dt>
            <dd>
                <bdi dir="ltr">{figure}</bdi>
                {raw
                    .map(|lufs| {
                        view! {
                            " "
                            <span class="readout__auto">
                                {move || t_string!(i18n, takes.raw_lufs, lufs = lufs.clone())}
                            </span>
                        }
                    })}
            </dd>
        </div>
    }
    .into_any()
}

/// A file size.
pub fn size(bytes: u64) -> String {
    let megabytes = bytes as f64 / 1e6;
    if megabytes < 1.0 {
        format!("{:.0} kB", bytes as f64 / 1e3)
    } else if megabytes < 1000.0 {
        format!("{megabytes:.1} MB")
    } else {
        format!("{:.1} GB", megabytes / 1e3)
    }
}

/// `2026-01-31 09:12` of an RFC 3339 time, in UTC as it is kept.
pub fn made_at(created_at: &str) -> String {
    let text: String = created_at.chars().take(16).collect();
    format!("{} UTC", text.replace('T', " "))
}

/// A linear level in decibels below full scale.
fn decibels(level: f32) -> String {
    if level <= 0.0 {
        return "−∞ dB".to_owned();
    }
    // A true minus sign, as wide as the figures.
    format!("{:.1} dB", 20.0 * level.log10()).replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_read_as_decibels() {
        assert_eq!(decibels(1.0), "0.0 dB");
        assert_eq!(decibels(0.5), "−6.0 dB");
        assert_eq!(decibels(0.0), "−∞ dB");
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(size(900), "1 kB");
        assert_eq!(size(9_600_000), "9.6 MB");
    }

    #[test]
    fn the_time_is_short_and_says_its_zone() {
        assert_eq!(made_at("2026-11-25T09:12:33.123Z"), "2026-11-25 09:12 UTC");
    }

    #[test]
    fn the_worst_is_said_first() {
        let clean = Report {
            peak: 0.9,
            true_peak: 0.95,
            ..Report::default()
        };
        assert_eq!(Verdict::of(&clean), Verdict::Clean);
        let between = Report {
            true_peak: 1.1,
            ..clean
        };
        assert_eq!(Verdict::of(&between), Verdict::Between);
        let gap = Report {
            longest_silence_secs: 9.0,
            ..between
        };
        assert_eq!(Verdict::of(&gap), Verdict::Gap);
        let cut = Report {
            clipped_samples: 12,
            ..gap
        };
        assert_eq!(Verdict::of(&cut), Verdict::Clipped);
        assert_eq!(Verdict::of(&Report::default()), Verdict::Silent);
    }
}
