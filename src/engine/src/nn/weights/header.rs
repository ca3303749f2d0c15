//! The header of a safetensors file, read with a diagnosis instead of a parser's complaint.
//!
//! Reads no tensor data: with a mapped file only the pages of the header are touched.

use safetensors::tensor::Metadata;

/// Why a file is not a usable weight file. The sentence names the cause; the caller knows
/// the path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Zero bytes.
    #[error("the file is empty; download it again")]
    Empty,
    /// A pointer left by Git LFS.
    #[error(
        "this is a Git LFS pointer, not the file itself; run `git lfs pull` or download it again"
    )]
    LfsPointer,
    /// An HTML page saved under the name of a weight file.
    #[error(
        "this is a web page, not a weight file; the download was answered with an error or login page"
    )]
    WebPage,
    /// Fewer bytes than the header promises.
    #[error("the file is truncated: {found} of {expected} bytes are there; download it again")]
    Truncated {
        /// Bytes in the file.
        found: u64,
        /// Bytes the header asks for.
        expected: u64,
    },
    /// More bytes than the header promises.
    #[error("the file has {found} bytes but its header describes {expected}; download it again")]
    TooLong {
        /// Bytes in the file.
        found: u64,
        /// Bytes the header asks for.
        expected: u64,
    },
    /// Not a safetensors header at all.
    #[error("this is not a safetensors file ({0})")]
    NotSafetensors(String),
    /// A GGUF file that ends before its header does.
    #[error("the file is truncated: it ends within its header; download it again")]
    CutHeader,
    /// Not a GGUF header.
    #[error("this GGUF file cannot be read: {0}")]
    NotGguf(String),
    /// Two files of one checkpoint hold the same tensor.
    #[error("the tensor {0} is also in another file of this checkpoint")]
    Duplicate(String),
}

/// A parsed header and where the data begins.
#[derive(Debug, Clone)]
pub struct Header {
    /// Names, dtypes, shapes and offsets.
    pub metadata: Metadata,
    /// Offset of the first tensor byte in the file.
    pub data_start: usize,
}

/// The length field and the largest header the format allows.
const LENGTH_BYTES: usize = 8;
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Recognises the usual things found in place of a downloaded file.
///
/// # Errors
/// [`Damage::Empty`], [`Damage::LfsPointer`] or [`Damage::WebPage`].
pub fn reject_impostors(bytes: &[u8]) -> Result<(), Damage> {
    if bytes.is_empty() {
        return Err(Damage::Empty);
    }
    let start = bytes[..bytes.len().min(512)].trim_ascii_start();
    if start.starts_with(b"version https://git-lfs") {
        return Err(Damage::LfsPointer);
    }
    let lower = start.to_ascii_lowercase();
    if [&b"<!doctype"[..], b"<html", b"<?xml", b"<head"]
        .iter()
        .any(|tag| lower.starts_with(tag))
    {
        return Err(Damage::WebPage);
    }
    Ok(())
}

/// Parses and checks the header of a whole file.
///
/// # Errors
/// A [`Damage`] that says what is wrong in words.
pub fn parse(bytes: &[u8]) -> Result<Header, Damage> {
    reject_impostors(bytes)?;
    let found = bytes.len() as u64;
    let Some(length) = bytes.first_chunk::<LENGTH_BYTES>() else {
        return Err(Damage::NotSafetensors(format!("only {found} bytes long")));
    };
    let header_bytes = u64::from_le_bytes(*length);
    if !(2..=MAX_HEADER_BYTES).contains(&header_bytes) {
        return Err(Damage::NotSafetensors(
            "the first eight bytes are no header length".into(),
        ));
    }
    let data_start = LENGTH_BYTES + header_bytes as usize;
    let Some(text) = bytes.get(LENGTH_BYTES..data_start) else {
        // A header begins with a brace; with none, the length was never one.
        if bytes.get(LENGTH_BYTES) == Some(&b'{') {
            return Err(Damage::Truncated {
                found,
                expected: data_start as u64,
            });
        }
        return Err(Damage::NotSafetensors(
            "the first eight bytes are no header length".into(),
        ));
    };
    let metadata: Metadata = serde_json::from_slice(text)
        .map_err(|error| Damage::NotSafetensors(format!("bad header: {error}")))?;
    let expected = data_start as u64 + metadata.data_len() as u64;
    match found.cmp(&expected) {
        std::cmp::Ordering::Less => Err(Damage::Truncated { found, expected }),
        std::cmp::Ordering::Greater => Err(Damage::TooLong { found, expected }),
        std::cmp::Ordering::Equal => Ok(Header {
            metadata,
            data_start,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Damage, parse};

    fn file() -> Vec<u8> {
        let header = br#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header);
        bytes.extend_from_slice(&[0; 8]);
        bytes
    }

    #[test]
    fn a_whole_file_is_read() {
        let header = parse(&file()).unwrap();
        assert_eq!(header.metadata.info("a").unwrap().shape, [2]);
    }

    #[test]
    fn every_impostor_is_called_by_its_name() {
        let whole = file();
        let cut_data = &whole[..whole.len() - 3];
        let cut_header = &whole[..20];
        assert!(matches!(parse(b""), Err(Damage::Empty)));
        assert!(matches!(parse(cut_data), Err(Damage::Truncated { .. })));
        assert!(matches!(parse(cut_header), Err(Damage::Truncated { .. })));
        assert!(matches!(
            parse(&[whole.clone(), vec![1]].concat()),
            Err(Damage::TooLong { .. })
        ));
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
        assert!(matches!(parse(pointer), Err(Damage::LfsPointer)));
        assert!(matches!(
            parse(b"\n<!DOCTYPE html><html>"),
            Err(Damage::WebPage)
        ));
        assert!(matches!(parse(b"abc"), Err(Damage::NotSafetensors(_))));
        assert!(matches!(parse(&[0xff; 64]), Err(Damage::NotSafetensors(_))));
        let mut broken = whole;
        broken[9] = b'!';
        assert!(matches!(parse(&broken), Err(Damage::NotSafetensors(_))));
    }
}
