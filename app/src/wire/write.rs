//! JSON whose structs are lists of their fields.
//!
//! Names cost twice in a browser: on the way, and as code that tells them apart. A field that would be left out keeps
//! its place as null, for its reader counts.

use serde::{
    Serialize,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant, Serializer,
    },
};
use serde_json::{Error, Map, Value, value::Serializer as Plain};

type Result<T> = serde_json::Result<T>;

/// The value as JSON by place.
///
/// # Errors
/// As JSON has: keys of a map that are no text.
pub(super) fn by_place<T: Serialize + ?Sized>(value: &T) -> Result<Value> {
    value.serialize(ByPlace)
}

struct ByPlace;

/// What is in a list so far, and the name of the variant that it is of.
struct List(Vec<Value>, Option<&'static str>);

impl List {
    fn new(len: usize, variant: Option<&'static str>) -> Self {
        Self(Vec::with_capacity(len), variant)
    }

    fn add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.0.push(by_place(value)?);
        Ok(())
    }

    fn done(self) -> Value {
        match self.1 {
            Some(variant) => one(variant, Value::Array(self.0)),
            None => Value::Array(self.0),
        }
    }
}

fn one(name: &str, value: Value) -> Value {
    let mut map = Map::new();
    map.insert(name.to_owned(), value);
    Value::Object(map)
}

/// What is neither struct nor holds one is written as everywhere.
macro_rules! plain {
    ($($method:ident($kind:ty))*) => {
        $(fn $method(self, value: $kind) -> Result<Value> {
            Plain.$method(value)
        })*
    };
}

impl Serializer for ByPlace {
    type Ok = Value;
    type Error = Error;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = List;
    type SerializeMap = Entries;
    type SerializeStruct = List;
    type SerializeStructVariant = List;

    plain! {
        serialize_bool(bool)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_f32(f32) serialize_f64(f64)
        serialize_char(char) serialize_str(&str) serialize_bytes(&[u8])
    }

    fn serialize_none(self) -> Result<Value> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value> {
        Ok(Value::from(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Value> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value> {
        Ok(one(variant, by_place(value)?))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<List> {
        Ok(List::new(len.unwrap_or_default(), None))
    }

    fn serialize_tuple(self, len: usize) -> Result<List> {
        Ok(List::new(len, None))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<List> {
        Ok(List::new(len, None))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<List> {
        Ok(List::new(len, Some(variant)))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries> {
        Ok(Entries::default())
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<List> {
        Ok(List::new(len, None))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<List> {
        Ok(List::new(len, Some(variant)))
    }
}

/// Lists of all kinds.
macro_rules! lists {
    ($($kind:ident $add:ident)*) => {
        $(impl $kind for List {
            type Ok = Value;
            type Error = Error;

            fn $add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.add(value)
            }

            fn end(self) -> Result<Value> {
                Ok(self.done())
            }
        })*
    };
}

lists! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

/// Structs of both kinds.
macro_rules! structs {
    ($($kind:ident)*) => {
        $(impl $kind for List {
            type Ok = Value;
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                _: &'static str,
                value: &T,
            ) -> Result<()> {
                self.add(value)
            }

            fn skip_field(&mut self, _: &'static str) -> Result<()> {
                self.0.push(Value::Null);
                Ok(())
            }

            fn end(self) -> Result<Value> {
                Ok(self.done())
            }
        })*
    };
}

structs! { SerializeStruct SerializeStructVariant }

/// A map, and the key whose value comes next.
#[derive(Default)]
struct Entries(Map<String, Value>, String);

impl SerializeMap for Entries {
    type Ok = Value;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.1 = match key.serialize(Plain)? {
            Value::String(name) => name,
            other => other.to_string(),
        };
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let name = std::mem::take(&mut self.1);
        self.0.insert(name, by_place(value)?);
        Ok(())
    }

    fn end(self) -> Result<Value> {
        Ok(Value::Object(self.0))
    }
}
