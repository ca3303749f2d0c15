//! The GPU Compatibility Guide as tables: tiers by VRAM, their limits and defaults.
//!
//! Source: the guide of ACE-Step 1.5, whose lower bounds win (8 is tier 4, 12 tier 5, 16 tier 6,
//! 24 unlimited; up to 4 is tier 1). A card reports a little less than its label, so a reading within
//! [`TOLERANCE_GIB`] below an edge counts as that edge, simulated or not.

use serde::{Deserialize, Serialize};

/// Bytes of one GiB.
pub const GIB: u64 = 1 << 30;

/// A size as it is read: in GiB, small ones in MiB.
pub fn size_text(bytes: u64) -> String {
    if bytes >= GIB {
        format!("{:.1} GiB", bytes as f64 / GIB as f64)
    } else {
        format!("{} MiB", bytes.div_ceil(1 << 20))
    }
}

/// How far below an edge a reading still counts as that edge.
pub const TOLERANCE_GIB: f64 = 0.5;

/// A class of cards.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum GpuTier {
    /// Up to 4 GB, and machines without a card.
    #[default]
    Tier1,
    /// 4 to 6 GB.
    Tier2,
    /// 6 to 8 GB.
    Tier3,
    /// 8 to 12 GB.
    Tier4,
    /// 12 to 16 GB.
    Tier5,
    /// 16 to 24 GB.
    Tier6,
    /// 24 GB and more.
    Unlimited,
}

/// Sizes of the 5 Hz language model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LmSize {
    /// 0.6 billion parameters.
    #[serde(rename = "0.6B")]
    Small,
    /// 1.7 billion parameters.
    #[serde(rename = "1.7B")]
    Medium,
    /// 4 billion parameters.
    #[serde(rename = "4B")]
    Large,
}

/// What a tier allows, with or without a language model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Longest song in seconds.
    pub max_duration_secs: u32,
    /// Most songs of one run.
    pub max_batch_size: usize,
}

/// One row of the guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierRow {
    /// The tier.
    pub tier: GpuTier,
    /// Its lower edge in GB; a tier holds readings from here up to the next row's edge.
    pub from_gb: u32,
    /// Limits while a language model is loaded.
    pub with_lm: Limits,
    /// Limits without one.
    pub without_lm: Limits,
    /// Sizes that may load.
    pub lm_sizes: &'static [LmSize],
    /// Whether a language model loads when nobody says.
    pub lm_default: bool,
}

const fn row(
    tier: GpuTier,
    from_gb: u32,
    secs: (u32, u32),
    batch: (usize, usize),
    lm_sizes: &'static [LmSize],
    lm_default: bool,
) -> TierRow {
    TierRow {
        tier,
        from_gb,
        with_lm: Limits {
            max_duration_secs: secs.0,
            max_batch_size: batch.0,
        },
        without_lm: Limits {
            max_duration_secs: secs.1,
            max_batch_size: batch.1,
        },
        lm_sizes,
        lm_default,
    }
}

/// The guide's table; pairs are (with LM, without LM). Tiers 1 and 2 offer no LM: their first figures
/// apply when one is forced on.
pub const TIERS: [TierRow; 7] = {
    use GpuTier::{Tier1, Tier2, Tier3, Tier4, Tier5, Tier6, Unlimited};
    use LmSize::{Large, Medium, Small};
    [
        row(Tier1, 0, (180, 180), (1, 1), &[], false),
        row(Tier2, 4, (360, 360), (1, 1), &[], false),
        row(Tier3, 6, (240, 360), (1, 2), &[Small], false),
        row(Tier4, 8, (240, 360), (2, 4), &[Small], false),
        row(Tier5, 12, (240, 360), (2, 4), &[Small, Medium], true),
        row(Tier6, 16, (480, 480), (4, 8), &[Small, Medium, Large], true),
        row(
            Unlimited,
            24,
            (600, 600),
            (8, 8),
            &[Small, Medium, Large],
            true,
        ),
    ]
};

impl GpuTier {
    /// All tiers, smallest first.
    pub const ALL: [Self; 7] = [
        Self::Tier1,
        Self::Tier2,
        Self::Tier3,
        Self::Tier4,
        Self::Tier5,
        Self::Tier6,
        Self::Unlimited,
    ];

    /// The tier of a card of `vram_gib`. `≤ 4` is tier 1; from 6 up a reading within the tolerance
    /// below an edge counts as that edge.
    pub fn from_vram_gib(vram_gib: f64) -> Self {
        let mut tier = Self::Tier1;
        for row in &TIERS[1..] {
            let reached = if row.tier == Self::Tier2 {
                vram_gib > f64::from(row.from_gb)
            } else {
                vram_gib >= f64::from(row.from_gb) - TOLERANCE_GIB
            };
            if reached {
                tier = row.tier;
            }
        }
        tier
    }

    /// The guide's row.
    pub const fn row(self) -> &'static TierRow {
        &TIERS[self as usize]
    }

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tier1 => "tier1",
            Self::Tier2 => "tier2",
            Self::Tier3 => "tier3",
            Self::Tier4 => "tier4",
            Self::Tier5 => "tier5",
            Self::Tier6 => "tier6",
            Self::Unlimited => "unlimited",
        }
    }

    /// The range of the guide in words, for example `8-12 GB`.
    pub fn range_label(self) -> String {
        let from = self.row().from_gb;
        match TIERS.get(self as usize + 1) {
            Some(_) if self == Self::Tier1 => "up to 4 GB".to_owned(),
            Some(next) => format!("{from}-{} GB", next.from_gb),
            None => format!("{from} GB and more"),
        }
    }
}

/// What `tier` allows.
pub const fn limits(tier: GpuTier, lm_loaded: bool) -> Limits {
    let row = tier.row();
    if lm_loaded {
        row.with_lm
    } else {
        row.without_lm
    }
}

impl LmSize {
    /// All sizes.
    pub const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Small => "0.6B",
            Self::Medium => "1.7B",
            Self::Large => "4B",
        }
    }

    /// The size a folder name carries; an unknown name counts as 0.6B, as in the original.
    pub fn from_name(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .rev()
            .find(|size| name.contains(size.as_str()))
            .unwrap_or(Self::Small)
    }

    /// Memory the guide sets aside for it.
    pub const fn memory_gb(self) -> u32 {
        match self {
            Self::Small => 3,
            Self::Medium => 8,
            Self::Large => 12,
        }
    }

    /// Bytes of the released weights that are read for a code, 16 bits each: the layers and the
    /// head's rows of codes.
    pub const fn bytes_per_code(self) -> u64 {
        match self {
            Self::Small => 1_010_000_000,
            Self::Medium => 3_080_000_000,
            Self::Large => 7_590_000_000,
        }
    }

    /// The released folder of this size.
    pub fn folder(self) -> String {
        format!("acestep-5Hz-lm-{}", self.as_str())
    }
}

/// VRAM as read or simulated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
pub struct Vram {
    /// GiB, 0 without a card.
    pub total_gib: f64,
    /// Set by `MAX_CUDA_VRAM` or `MAX_MPS_VRAM` rather than read.
    pub simulated: bool,
}

/// The size given by `MAX_CUDA_VRAM` or `MAX_MPS_VRAM`: `8`, `8.5`, `8GB`.
///
/// # Errors
/// The reason, when the value is not a positive, finite number of GB.
pub fn parse_vram_gb(text: &str) -> Result<f64, String> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err("it is empty".to_owned());
    }
    let lower = trimmed.to_ascii_lowercase();
    let number = ["gib", "gb", "g"]
        .iter()
        .find_map(|unit| lower.strip_suffix(unit))
        .unwrap_or(&lower)
        .trim_end();
    let plain = !number.is_empty()
        && number
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'));
    match number.parse::<f64>() {
        Ok(value) if plain && value.is_finite() && value > 0.0 => Ok(value),
        Ok(value) if plain && value <= 0.0 => Err(format!("{trimmed:?} is not above 0")),
        _ => Err(format!("{trimmed:?} is not a number of GB")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_every_edge() {
        use GpuTier::{Tier1, Tier2, Tier3, Tier4, Tier5, Tier6, Unlimited};
        for (gib, tier) in [
            (0.0, Tier1),
            (3.99, Tier1),
            (4.0, Tier1),
            (4.01, Tier2),
            (5.49, Tier2),
            (5.5, Tier3),
            (6.0, Tier3),
            (7.49, Tier3),
            (7.5, Tier4),
            (8.0, Tier4),
            (11.49, Tier4),
            (11.5, Tier5),
            (12.0, Tier5),
            (15.49, Tier5),
            (15.5, Tier6),
            (16.0, Tier6),
            (23.49, Tier6),
            (23.5, Unlimited),
            (24.0, Unlimited),
            (80.0, Unlimited),
        ] {
            assert_eq!(GpuTier::from_vram_gib(gib), tier, "{gib}");
        }
    }

    #[test]
    fn the_guide_as_one_table() {
        let mut table =
            String::from("tier | range | with LM | without LM | LM sizes | LM by default\n");
        for row in TIERS {
            let sizes: Vec<String> = row
                .lm_sizes
                .iter()
                .map(|size| format!("{} {}GB", size.as_str(), size.memory_gb()))
                .collect();
            table += &format!(
                "{} | {} | {}s x{} | {}s x{} | {} | {}\n",
                row.tier.as_str(),
                row.tier.range_label(),
                row.with_lm.max_duration_secs,
                row.with_lm.max_batch_size,
                row.without_lm.max_duration_secs,
                row.without_lm.max_batch_size,
                sizes.join(", "),
                row.lm_default
            );
        }
        insta::assert_snapshot!(table, @r"
        tier | range | with LM | without LM | LM sizes | LM by default
        tier1 | up to 4 GB | 180s x1 | 180s x1 |  | false
        tier2 | 4-6 GB | 360s x1 | 360s x1 |  | false
        tier3 | 6-8 GB | 240s x1 | 360s x2 | 0.6B 3GB | false
        tier4 | 8-12 GB | 240s x2 | 360s x4 | 0.6B 3GB | false
        tier5 | 12-16 GB | 240s x2 | 360s x4 | 0.6B 3GB, 1.7B 8GB | true
        tier6 | 16-24 GB | 480s x4 | 480s x8 | 0.6B 3GB, 1.7B 8GB, 4B 12GB | true
        unlimited | 24 GB and more | 600s x8 | 600s x8 | 0.6B 3GB, 1.7B 8GB, 4B 12GB | true
        ");
    }

    #[test]
    fn simulated_sizes_as_people_type_them() {
        for (text, gb) in [
            ("8", 8.0),
            ("8.5", 8.5),
            ("8GB", 8.0),
            (" 12 gb ", 12.0),
            ("16GiB", 16.0),
            ("6g", 6.0),
        ] {
            assert_eq!(parse_vram_gb(text), Ok(gb), "{text}");
        }
        for junk in [
            "", "  ", "-8", "0", "eight", "NaN", "inf", "8TB", "1e3", "8,5",
        ] {
            assert!(parse_vram_gb(junk).is_err(), "{junk}");
        }
    }

    #[test]
    fn lm_sizes_are_read_from_folder_names() {
        assert_eq!(LmSize::from_name("acestep-5Hz-lm-4B"), LmSize::Large);
        assert_eq!(
            LmSize::from_name("acestep-5Hz-lm-1.7B-v4-fix"),
            LmSize::Medium
        );
        assert_eq!(LmSize::from_name("my-lm"), LmSize::Small);
        assert_eq!(LmSize::Small.folder(), "acestep-5Hz-lm-0.6B");
    }
}
