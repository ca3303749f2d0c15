//! How "the model decides" is spelt on the wire, so that old programs read our files.

/// `""` when unset.
pub(super) mod keyscale {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::metadata::{KeyScale, is_auto};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<KeyScale>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(key) => serializer.collect_str(key),
            None => serializer.serialize_str(""),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<KeyScale>, D::Error> {
        match Option::<String>::deserialize(deserializer)? {
            Some(text) if !is_auto(&text) => {
                KeyScale::parse(&text).map(Some).map_err(de::Error::custom)
            }
            _ => Ok(None),
        }
    }
}

/// `""` when unset.
pub(super) mod timesignature {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::metadata::{TimeSignature, is_auto};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<TimeSignature>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(signature) => serializer.collect_str(signature),
            None => serializer.serialize_str(""),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<TimeSignature>, D::Error> {
        match Option::<String>::deserialize(deserializer)? {
            Some(text) if !is_auto(&text) => TimeSignature::parse(&text)
                .map(Some)
                .map_err(de::Error::custom),
            _ => Ok(None),
        }
    }
}

/// -1 when unset.
pub(super) mod duration {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(value.unwrap_or(-1.0))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<f64>, D::Error> {
        Ok(Option::<f64>::deserialize(deserializer)?.filter(|secs| *secs > 0.0))
    }
}

/// -1 means the end of the source.
pub(super) mod region_end {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(value.unwrap_or(-1.0))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<f64>, D::Error> {
        Ok(Option::<f64>::deserialize(deserializer)?.filter(|secs| *secs >= 0.0))
    }
}

/// `null` for none, text for one, a list for several.
pub(super) mod one_or_many {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
    use serde_json::Value;

    pub(crate) fn serialize<S: Serializer>(
        names: &[String],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match names {
            [] => serializer.serialize_none(),
            [name] => serializer.serialize_str(name),
            many => many.serialize(serializer),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<String>, D::Error> {
        let value = Value::deserialize(deserializer)?;
        super::super::read::names_from_json(&value).map_err(de::Error::custom)
    }
}

/// -1 for none, a number for one, `"1,2"` for several.
pub(super) mod seeds {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use serde_json::Value;

    pub(crate) fn serialize<S: Serializer>(
        seeds: &[u32],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match seeds {
            [] => serializer.serialize_i64(-1),
            [seed] => serializer.serialize_u32(*seed),
            many => {
                let texts: Vec<String> = many.iter().map(u32::to_string).collect();
                serializer.serialize_str(&texts.join(","))
            }
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u32>, D::Error> {
        let value = Value::deserialize(deserializer)?;
        super::super::read::seeds_from_json(&value).map_err(de::Error::custom)
    }
}
