//! Types out of JSON, with little code for each.
//!
//! What derives `Deserialize` can be read from any format in any of its shapes, and all the shapes that a format
//! offers become code, once for each type. Here a struct has one shape: an object where it comes by name, a list
//! where it comes by place; and what does not fit fails without asking the type what it had expected.

use std::fmt::{self, Display};

use serde::{
    de::{
        self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess,
        Visitor,
    },
    forward_to_deserialize_any,
};
use serde_json::{Map, Value, map};

/// Why a text was not what it should have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(String);

impl Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

impl de::Error for Unreadable {
    fn custom<T: Display>(reason: T) -> Self {
        Self(reason.to_string())
    }
}

/// Reads JSON whose structs are objects.
pub(super) fn by_name<T: de::DeserializeOwned>(json: &[u8]) -> Result<T, Unreadable> {
    T::deserialize(Json::<true>(&parse(json)?))
}

/// Reads JSON whose structs are lists of all their fields, as [`super::write`] makes it.
pub(super) fn by_place<T: de::DeserializeOwned>(json: &[u8]) -> Result<T, Unreadable> {
    T::deserialize(Json::<false>(&parse(json)?))
}

fn parse(json: &[u8]) -> Result<Value, Unreadable> {
    serde_json::from_slice(json).map_err(|error| Unreadable(error.to_string()))
}

#[cold]
#[inline(never)]
fn mismatch(value: &Value, expected: &str) -> Unreadable {
    let value = value.to_string();
    // A whole answer would be no sentence.
    let end = value
        .char_indices()
        .nth(60)
        .map_or(value.len(), |(end, _)| end);
    let (shown, more) = (&value[..end], if end < value.len() { "…" } else { "" });
    Unreadable(format!("{shown}{more} is not {expected}"))
}

static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);

/// A value that a type is made of.
#[derive(Clone, Copy)]
struct Json<'de, const NAMED: bool>(&'de Value);

impl<'de, const NAMED: bool> Json<'de, NAMED> {
    #[inline(never)]
    fn text(self) -> Result<&'de str, Unreadable> {
        match self.0 {
            Value::String(text) => Ok(text),
            Value::Null if !NAMED => Ok(""),
            other => Err(mismatch(other, "a text")),
        }
    }

    #[inline(never)]
    fn items(self) -> Result<Items<'de, NAMED>, Unreadable> {
        match self.0 {
            Value::Array(items) => Ok(Items(items.iter())),
            Value::Null if !NAMED => Ok(Items([].iter())),
            other => Err(mismatch(other, "a list")),
        }
    }

    #[inline(never)]
    fn fields(self) -> Result<Fields<'de, NAMED>, Unreadable> {
        match self.0 {
            Value::Object(map) => Ok(Fields(map.iter(), &Value::Null)),
            // What was left out has a place all the same.
            Value::Null if !NAMED => Ok(Fields(EMPTY.iter(), &Value::Null)),
            other => Err(mismatch(other, "an object")),
        }
    }

    /// All fields of a struct. Another number of them is of another build.
    #[inline(never)]
    fn places(self, count: usize) -> Result<Items<'de, NAMED>, Unreadable> {
        match self.0 {
            Value::Array(items) if items.len() == count => Ok(Items(items.iter())),
            other => Err(mismatch(other, "a list of as many fields")),
        }
    }

    /// A variant without a value is its name, one with a value an object of one field.
    #[inline(never)]
    fn variant(self) -> Result<Variant<'de, NAMED>, Unreadable> {
        match self.0 {
            Value::String(name) => Ok(Variant(name, &Value::Null)),
            Value::Object(map) if map.len() == 1 => map
                .iter()
                .next()
                .map(|(name, value)| Variant(name, value))
                .ok_or_else(|| mismatch(self.0, "one of several")),
            other => Err(mismatch(other, "one of several")),
        }
    }
}

/// Whole numbers of all widths; a type refuses what is too large for it.
macro_rules! whole_numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
            if let Some(number) = self.0.as_u64() {
                visitor.visit_u64(number)
            } else if let Some(number) = self.0.as_i64() {
                visitor.visit_i64(number)
            } else {
                Err(mismatch(self.0, "a whole number"))
            }
        })*
    };
}

impl<'de, const NAMED: bool> Deserializer<'de> for Json<'de, NAMED> {
    type Error = Unreadable;

    whole_numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(yes) => visitor.visit_bool(*yes),
            Value::Number(number) if number.is_f64() => self.deserialize_f64(visitor),
            Value::Number(_) => self.deserialize_i64(visitor),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::Bool(yes) => visitor.visit_bool(*yes),
            other => Err(mismatch(other, "true or false")),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0.as_f64() {
            Some(number) => visitor.visit_f64(number),
            None => Err(mismatch(self.0, "a number")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_seq(self.items()?)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_map(self.fields()?)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        if NAMED {
            return visitor.visit_map(self.fields()?);
        }
        visitor.visit_seq(self.places(names.len())?)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_enum(self.variant()?)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { char bytes byte_buf unit unit_struct }
}

struct Items<'de, const NAMED: bool>(std::slice::Iter<'de, Value>);

impl<'de, const NAMED: bool> SeqAccess<'de> for Items<'de, NAMED> {
    type Error = Unreadable;

    #[inline(never)]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Unreadable> {
        match self.0.next() {
            Some(value) => seed.deserialize(Json::<NAMED>(value)).map(Some),
            None => Ok(None),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

/// The fields that are left, and the value of the one whose name was asked for.
struct Fields<'de, const NAMED: bool>(map::Iter<'de>, &'de Value);

impl<'de, const NAMED: bool> MapAccess<'de> for Fields<'de, NAMED> {
    type Error = Unreadable;

    #[inline(never)]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Unreadable> {
        let Some((name, value)) = self.0.next() else {
            return Ok(None);
        };
        self.1 = value;
        seed.deserialize(Name(name)).map(Some)
    }

    #[inline(never)]
    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, Unreadable> {
        seed.deserialize(Json::<NAMED>(self.1))
    }
}

/// The name of a field or variant.
struct Name<'de>(&'de str);

impl<'de> Deserializer<'de> for Name<'de> {
    type Error = Unreadable;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_enum(Variant::<true>(self.0, &Value::Null))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

struct Variant<'de, const NAMED: bool>(&'de str, &'de Value);

impl<'de, const NAMED: bool> EnumAccess<'de> for Variant<'de, NAMED> {
    type Error = Unreadable;
    type Variant = Json<'de, NAMED>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Json<'de, NAMED>), Unreadable> {
        Ok((seed.deserialize(Name(self.0))?, Json::<NAMED>(self.1)))
    }
}

impl<'de, const NAMED: bool> VariantAccess<'de> for Json<'de, NAMED> {
    type Error = Unreadable;

    fn unit_variant(self) -> Result<(), Unreadable> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, Unreadable> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.deserialize_struct("", names, visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, serde::Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Plain,
        Held(f32),
        Named { count: u8 },
        Pair(i64, bool),
    }

    #[derive(Debug, PartialEq, serde::Serialize, Deserialize)]
    struct Whole {
        name: String,
        #[serde(default)]
        missing: Option<u32>,
        kinds: Vec<Kind>,
        by_kind: BTreeMap<String, (i32, f64)>,
        rest: Value,
        #[serde(flatten)]
        inner: Inner,
    }

    #[derive(Debug, PartialEq, serde::Serialize, Deserialize)]
    struct Inner {
        deep: Option<Box<Self>>,
        level: u64,
    }

    #[test]
    fn what_was_written_is_read_again() {
        let whole = Whole {
            name: "a \"quoted\" שיר\n".to_owned(),
            missing: None,
            kinds: vec![
                Kind::Plain,
                Kind::Held(0.1),
                Kind::Named { count: 255 },
                Kind::Pair(i64::MIN, true),
            ],
            by_kind: [("x".to_owned(), (-3, 1e300)), (String::new(), (0, 2.0))].into(),
            rest: serde_json::json!({ "a": [1, -1, 1.5, null, "b", false], "unknown": {} }),
            inner: Inner {
                deep: Some(Box::new(Inner {
                    deep: None,
                    level: 1,
                })),
                level: u64::MAX,
            },
        };
        let json = serde_json::to_vec(&whole).unwrap();
        assert_eq!(by_name::<Whole>(&json).unwrap(), whole);
        let json = serde_json::to_vec(&super::super::write::by_place(&whole).unwrap()).unwrap();
        assert_eq!(by_place::<Whole>(&json).unwrap(), whole);
    }

    #[test]
    fn what_does_not_fit_says_why() {
        let why = |json: &str| by_name::<Inner>(json.as_bytes()).unwrap_err().to_string();
        assert_eq!(why(r#"{"deep": null}"#), "missing field `level`");
        assert_eq!(
            why(r#"{"deep": null, "level": "1"}"#),
            "\"1\" is not a whole number"
        );
        assert_eq!(why("[null, 1]"), "[null,1] is not an object");
        assert!(why("{\"deep\": nul").contains("column"));
        let kind = |json: &str| by_name::<Kind>(json.as_bytes()).unwrap_err().to_string();
        assert!(kind("\"odd\"").contains("unknown variant `odd`"));
        assert!(kind(r#"{"named": {"count": 256}}"#).contains("256"));
    }
}
