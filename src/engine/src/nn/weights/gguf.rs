//! The header of a GGUF file: metadata, and where each tensor lies.
//!
//! Versions 2 and 3, little endian, as published with ggml (`docs/gguf.md`). Reads no tensor
//! data, keeps texts where they lie, and answers any content with a header or a sentence.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use candle_core::DType;

use super::{
    file::{Stored, TensorInfo},
    header::Damage,
};
use crate::kernels::quantized::{Format, LANES};

/// The first bytes of a file.
pub(crate) const MAGIC: &[u8] = b"GGUF";

/// Tensor data begins at a multiple of this unless the file says otherwise.
pub(crate) const ALIGNMENT: usize = 32;

/// Dimensions of a tensor at most.
const MOST_DIMS: u32 = 4;

/// Keys and values.
pub(crate) type Metadata = HashMap<String, Value>;

/// A value of the metadata. Texts are ranges of the file, and may be no UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A text.
    Text(Range<usize>),
    /// A list of texts.
    Texts(Vec<Range<usize>>),
    /// An unsigned number.
    Number(u64),
    /// Anything else.
    Other,
}

/// What a file says before its data.
#[derive(Debug)]
pub(crate) struct Header {
    /// Tensors by name; shapes have the slowest dimension first, which the file writes last.
    pub(crate) tensors: BTreeMap<String, TensorInfo>,
    /// Everything else.
    pub(crate) metadata: Metadata,
}

/// Parses and checks the header of a whole file.
///
/// # Errors
/// A [`Damage`] that says what is wrong in words.
pub(crate) fn parse(bytes: &[u8]) -> Result<Header, Damage> {
    let mut reader = Reader {
        bytes,
        at: MAGIC.len(),
    };
    let version = reader.u32()?;
    if !(2..=3).contains(&version) {
        return Err(wrong(format!(
            "its version is {version}; 2 and 3 can be read"
        )));
    }
    let (tensor_count, value_count) = (reader.u64()?, reader.u64()?);
    let mut metadata = Metadata::new();
    for _ in 0..value_count {
        let key = reader.name()?;
        let kind = reader.u32()?;
        let value = reader.value(kind)?;
        metadata.insert(key, value);
    }
    let mut described = Vec::new();
    for _ in 0..tensor_count {
        described.push(reader.tensor()?);
    }
    let alignment = match metadata.get("general.alignment") {
        Some(Value::Number(own)) => usize::try_from(*own)
            .ok()
            .filter(|own| own.is_power_of_two())
            .ok_or_else(|| wrong(format!("its alignment is {own}")))?,
        _ => ALIGNMENT,
    };
    let data_start = reader
        .at
        .checked_next_multiple_of(alignment)
        .ok_or_else(|| wrong(format!("its alignment is {alignment}")))?;
    let mut tensors = BTreeMap::new();
    let mut expected = 0;
    for tensor in described {
        let start = data_start as u64 + tensor.offset.min(u64::MAX / 4);
        let end = start.saturating_add(tensor.bytes);
        expected = expected.max(end);
        let info = TensorInfo {
            stored: tensor.stored,
            shape: tensor.shape,
            range: start as usize..end as usize,
        };
        if tensors.insert(tensor.name.clone(), info).is_some() {
            return Err(wrong(format!("it has two tensors {}", tensor.name)));
        }
    }
    let found = bytes.len() as u64;
    if expected > found {
        return Err(Damage::Truncated { found, expected });
    }
    Ok(Header { tensors, metadata })
}

fn wrong(reason: String) -> Damage {
    Damage::NotGguf(reason)
}

struct Described {
    name: String,
    shape: Vec<usize>,
    stored: Stored,
    offset: u64,
    bytes: u64,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn skip(&mut self, len: u64) -> Result<Range<usize>, Damage> {
        let start = self.at;
        let end = usize::try_from(len)
            .ok()
            .and_then(|len| start.checked_add(len))
            .filter(|end| *end <= self.bytes.len())
            .ok_or(Damage::CutHeader)?;
        self.at = end;
        Ok(start..end)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let range = self.skip(N as u64)?;
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.bytes[range]);
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, Damage> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Damage> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<Range<usize>, Damage> {
        let len = self.u64()?;
        self.skip(len)
    }

    fn name(&mut self) -> Result<String, Damage> {
        let range = self.text()?;
        std::str::from_utf8(&self.bytes[range])
            .map(str::to_owned)
            .map_err(|error| wrong(format!("a name is no text: {error}")))
    }

    fn value(&mut self, kind: u32) -> Result<Value, Damage> {
        const TEXT: u32 = 8;
        const LIST: u32 = 9;
        Ok(match kind {
            0 => Value::Number(u64::from(self.array::<1>()?[0])),
            2 => Value::Number(u64::from(u16::from_le_bytes(self.array()?))),
            4 => Value::Number(u64::from(self.u32()?)),
            10 => Value::Number(self.u64()?),
            TEXT => Value::Text(self.text()?),
            LIST => {
                let (kind, len) = (self.u32()?, self.u64()?);
                if kind == TEXT {
                    let mut texts = Vec::new();
                    for _ in 0..len {
                        texts.push(self.text()?);
                    }
                    Value::Texts(texts)
                } else {
                    let bytes = len.checked_mul(number_bytes(kind)?);
                    self.skip(bytes.ok_or(Damage::CutHeader)?)?;
                    Value::Other
                }
            }
            kind => {
                self.skip(number_bytes(kind)?)?;
                Value::Other
            }
        })
    }

    fn tensor(&mut self) -> Result<Described, Damage> {
        let name = self.name()?;
        let count = self.u32()?;
        if count > MOST_DIMS {
            return Err(wrong(format!("the tensor {name} has {count} dimensions")));
        }
        let mut shape = Vec::new();
        for _ in 0..count {
            shape.push(self.u64()? as usize);
        }
        let (kind, offset) = (self.u32()?, self.u64()?);
        let (stored, block, block_bytes) = format(kind);
        let width = shape.first().copied().unwrap_or(1) as u64;
        if !width.is_multiple_of(block) {
            return Err(wrong(format!(
                "rows of {width} values of the tensor {name} are no whole number of {stored} blocks"
            )));
        }
        // Rows that a panel has beyond the last are there as well.
        let whole = |(dim, size): (usize, &usize)| match (&stored, dim) {
            (Stored::Panels(_), 1) => size.checked_next_multiple_of(LANES),
            _ => Some(*size),
        };
        let bytes = shape
            .iter()
            .enumerate()
            .try_fold(1u64, |values, size| values.checked_mul(whole(size)? as u64))
            .and_then(|values| (values / block).checked_mul(block_bytes))
            .filter(|bytes| *bytes < u64::MAX / 4)
            .ok_or_else(|| wrong(format!("the tensor {name} has shape {shape:?}")))?;
        shape.reverse();
        Ok(Described {
            name,
            shape,
            stored,
            offset,
            bytes,
        })
    }
}

/// Bytes of a number or truth value of the metadata.
fn number_bytes(kind: u32) -> Result<u64, Damage> {
    match kind {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        other => Err(wrong(format!("a value of its metadata has type {other}"))),
    }
}

/// A tensor type: what it is, and values and bytes of a block. Of what cannot be read, the size
/// does not matter.
fn format(kind: u32) -> (Stored, u64, u64) {
    let plain = |dtype: DType| (Stored::Plain(dtype), 1, dtype.size_in_bytes() as u64);
    let packed = |format: Format| {
        (
            Stored::Packed(format),
            format.block_values() as u64,
            format.block_bytes() as u64,
        )
    };
    let panels = |format: Format| {
        (
            Stored::Panels(format),
            format.block_values() as u64,
            format.block_bytes_in_panels() as u64,
        )
    };
    match kind {
        0 => plain(DType::F32),
        1 => plain(DType::F16),
        8 => packed(Format::Q8_0),
        12 => packed(Format::Q4K),
        13 => packed(Format::Q5K),
        14 => packed(Format::Q6K),
        30 => plain(DType::BF16),
        1008 => panels(Format::Q8_0),
        1012 => panels(Format::Q4K),
        1013 => panels(Format::Q5K),
        1014 => panels(Format::Q6K),
        2 => (Stored::Other("Q4_0".into()), 1, 0),
        6 => (Stored::Other("Q5_0".into()), 1, 0),
        10 => (Stored::Other("Q2_K".into()), 1, 0),
        11 => (Stored::Other("Q3_K".into()), 1, 0),
        other => (Stored::Other(format!("GGUF type {other}")), 1, 0),
    }
}

/// The number of a format in a file.
pub(crate) const fn type_number(stored: &Stored) -> Option<u32> {
    match stored {
        Stored::Plain(DType::F32) => Some(0),
        Stored::Plain(DType::F16) => Some(1),
        Stored::Plain(DType::BF16) => Some(30),
        Stored::Packed(Format::Q8_0) => Some(8),
        Stored::Packed(Format::Q4K) => Some(12),
        Stored::Packed(Format::Q5K) => Some(13),
        Stored::Packed(Format::Q6K) => Some(14),
        // Numbers of our own, far from those of ggml: only our caches hold them.
        Stored::Panels(Format::Q8_0) => Some(1008),
        Stored::Panels(Format::Q4K) => Some(1012),
        Stored::Panels(Format::Q5K) => Some(1013),
        Stored::Panels(Format::Q6K) => Some(1014),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Stored, Value, parse};
    use crate::{kernels::quantized::Format, nn::weights::Damage};

    fn text(out: &mut Vec<u8>, text: &str) {
        out.extend((text.len() as u64).to_le_bytes());
        out.extend(text.as_bytes());
    }

    /// Two values and a tensor `w` of 2 rows of 32 values in Q8_0, by the published layout.
    fn file() -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3u32.to_le_bytes());
        out.extend(1u64.to_le_bytes());
        out.extend(3u64.to_le_bytes());
        text(&mut out, "general.architecture");
        out.extend(8u32.to_le_bytes());
        text(&mut out, "acestep-lm");
        text(&mut out, "tokens");
        out.extend(9u32.to_le_bytes());
        out.extend(8u32.to_le_bytes());
        out.extend(2u64.to_le_bytes());
        text(&mut out, "a");
        text(&mut out, "bc");
        text(&mut out, "scale");
        out.extend(6u32.to_le_bytes());
        out.extend(1f32.to_le_bytes());
        text(&mut out, "w");
        out.extend(2u32.to_le_bytes());
        out.extend(32u64.to_le_bytes());
        out.extend(2u64.to_le_bytes());
        out.extend(8u32.to_le_bytes());
        out.extend(0u64.to_le_bytes());
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend([7; 68]);
        out
    }

    #[test]
    fn a_whole_file_is_read() {
        let bytes = file();
        let header = parse(&bytes).unwrap();
        let w = &header.tensors["w"];
        assert_eq!(w.shape, [2, 32]);
        assert_eq!(w.stored, Stored::Packed(Format::Q8_0));
        assert_eq!(&bytes[w.range.clone()], [7; 68]);
        let Value::Texts(tokens) = &header.metadata["tokens"] else {
            panic!("{:?}", header.metadata);
        };
        assert_eq!(&bytes[tokens[1].clone()], b"bc");
        assert_eq!(header.metadata["scale"], Value::Other);
    }

    #[test]
    fn cut_at_any_place_it_is_truncated() {
        let bytes = file();
        for len in 4..bytes.len() {
            let damage = parse(&bytes[..len]).unwrap_err();
            assert!(
                matches!(damage, Damage::CutHeader | Damage::Truncated { .. }),
                "{len}: {damage}"
            );
        }
    }

    #[test]
    fn impossible_sizes_are_refused_without_memory() {
        let mut version = file();
        version[4] = 9;
        assert!(parse(&version).unwrap_err().to_string().contains("version"));
        // Counts and lengths of 2^64 - 1.
        for at in [8, 16, 24] {
            let mut bytes = file();
            bytes[at..at + 8].copy_from_slice(&[0xff; 8]);
            assert!(parse(&bytes).is_err(), "{at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_get_an_answer(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            bytes.splice(0..0, *b"GGUF");
            assert!(parse(&bytes).is_err() || bytes.len() >= 24);
        }

        #[test]
        fn a_flipped_byte_gets_an_answer(at in 4usize..200, value in any::<u8>()) {
            let mut bytes = file();
            let at = at.min(bytes.len() - 1);
            bytes[at] = value;
            if let Ok(header) = parse(&bytes) {
                for tensor in header.tensors.values() {
                    assert!(tensor.range.end <= bytes.len());
                }
            }
        }
    }
}
