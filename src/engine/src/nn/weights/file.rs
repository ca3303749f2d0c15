//! One weight file, its header read and checked: safetensors or GGUF, told apart by content.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    fs::File,
    ops::Range,
    path::Path,
    sync::Arc,
};

use candle_core::DType;
use safetensors::Dtype;

use super::{
    gguf,
    header::{self, Damage},
};
use crate::kernels::quantized::{Format, SharedBytes};

/// Where the bytes of a file are.
enum Bytes {
    Mapped(memmap2::Mmap),
    Static(&'static [u8]),
    Owned(Vec<u8>),
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Static(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// How a tensor is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// Values one after another.
    Plain(DType),
    /// Quantised blocks.
    Packed(Format),
    /// The same in the order in which a processor multiplies them; only caches of ours are.
    Panels(Format),
    /// Something no network is loaded from, by its name.
    Other(String),
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(dtype) => f.write_str(&dtype.as_str().to_uppercase()),
            Self::Packed(format) => format.fmt(f),
            Self::Panels(format) => write!(f, "panels of {format}"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// The bytes of a weight file, for who reads some of them again and again. Cloning is cheap.
#[derive(Clone)]
pub(in crate::nn) struct Content(Arc<Bytes>);

impl Content {
    pub(in crate::nn) fn bytes(&self) -> &[u8] {
        (*self.0).as_ref()
    }

    /// See [`WeightFile::release`].
    #[cfg(unix)]
    #[expect(unsafe_code, reason = "advice that would lose changes is unsafe")]
    pub(in crate::nn) fn release(&self, range: Range<usize>) {
        if let Bytes::Mapped(map) = &*self.0 {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            // SAFETY: the map is read only, so there are no changes to lose. What is advised in vain
            // changes nothing.
            unsafe { map.unchecked_advise_range(advice, range.start, range.len()) }.ok();
        }
    }

    #[cfg(not(unix))]
    pub(in crate::nn) fn release(&self, _: Range<usize>) {}
}

/// A tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// How it is stored.
    pub stored: Stored,
    /// Slowest dimension first.
    pub shape: Vec<usize>,
    /// Its bytes, inside the file.
    pub range: Range<usize>,
}

/// A weight file.
pub struct WeightFile {
    bytes: Arc<Bytes>,
    tensors: BTreeMap<String, TensorInfo>,
    metadata: Option<gguf::Metadata>,
    /// Texts of a safetensors header.
    texts: HashMap<String, String>,
}

/// Why a file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system said no.
    #[error("the file cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// The content is not what it should be.
    #[error(transparent)]
    Damage(#[from] Damage),
}

impl WeightFile {
    /// Maps a file. Tensor data is read when tensors are taken, not here.
    ///
    /// # Errors
    /// The file cannot be read, or its content is damaged.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            // An empty file cannot be mapped on every system.
            return Err(Damage::Empty.into());
        }
        #[expect(unsafe_code, reason = "mapping a file is unsafe by nature")]
        // SAFETY: the map is read only. A program that rewrites the file under us could change
        // the values we read or, by truncating it, raise a bus error; downloads and our own cache
        // therefore go to a temporary name and are renamed. Of a cache that is there only the times of its
        // sources are written anew, a text that was read by then.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Self::new(Bytes::Mapped(map))?)
    }

    /// Reads a file that is part of the binary.
    ///
    /// # Errors
    /// The content is damaged.
    pub fn from_static(bytes: &'static [u8]) -> Result<Self, Damage> {
        Self::new(Bytes::Static(bytes))
    }

    /// Reads a file that is held in memory.
    ///
    /// # Errors
    /// The content is damaged.
    pub fn from_vec(bytes: Vec<u8>) -> Result<Self, Damage> {
        Self::new(Bytes::Owned(bytes))
    }

    fn new(bytes: Bytes) -> Result<Self, Damage> {
        let content = bytes.as_ref();
        let (tensors, metadata, texts) = if content.starts_with(gguf::MAGIC) {
            let gguf::Header { tensors, metadata } = gguf::parse(content)?;
            (tensors, Some(metadata), HashMap::new())
        } else {
            let header = header::parse(content)?;
            let texts = header.metadata.metadata().clone().unwrap_or_default();
            (from_safetensors(&header), None, texts)
        };
        Ok(Self {
            bytes: Arc::new(bytes),
            tensors,
            metadata,
            texts,
        })
    }

    /// Its tensors by name.
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    /// What a GGUF file says beside its tensors; a safetensors file has none.
    pub fn metadata(&self) -> Option<Metadata<'_>> {
        self.metadata.as_ref().map(|metadata| Metadata {
            metadata,
            bytes: self.bytes(),
        })
    }

    /// A text of a safetensors header; GGUF files have none.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.texts.get(key).map(String::as_str)
    }

    /// The whole content.
    pub(crate) fn bytes(&self) -> &[u8] {
        (*self.bytes).as_ref()
    }

    /// The bytes of `range` were read and are not needed for now: of a mapped file they count no
    /// more as memory in use. Reading them again reads the file.
    pub(crate) fn release(&self, range: Range<usize>) {
        self.content().release(range);
    }

    pub(in crate::nn) fn content(&self) -> Content {
        Content(Arc::clone(&self.bytes))
    }

    /// The bytes of `range` are read soon: of a mapped file they are fetched from now on, while
    /// others are.
    #[cfg(unix)]
    pub(crate) fn expect(&self, range: Range<usize>) {
        if let Bytes::Mapped(map) = &*self.bytes {
            // Without it they are fetched when they are read.
            map.advise_range(memmap2::Advice::WillNeed, range.start, range.len())
                .ok();
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn expect(&self, _: Range<usize>) {}

    pub(super) fn shared(&self) -> SharedBytes {
        self.bytes.clone()
    }
}

/// Keys and values of a GGUF file.
#[derive(Clone, Copy)]
pub struct Metadata<'a> {
    metadata: &'a gguf::Metadata,
    bytes: &'a [u8],
}

impl<'a> Metadata<'a> {
    /// A text; `None` when the key is missing, no text, or no UTF-8.
    pub fn text(self, key: &str) -> Option<&'a str> {
        match self.metadata.get(key)? {
            gguf::Value::Text(range) => std::str::from_utf8(&self.bytes[range.clone()]).ok(),
            _ => None,
        }
    }

    /// Where a text is inside the file.
    pub(crate) fn text_place(self, key: &str) -> Option<Range<usize>> {
        match self.metadata.get(key)? {
            gguf::Value::Text(range) => Some(range.clone()),
            _ => None,
        }
    }

    /// A list of texts, likewise.
    pub fn texts(self, key: &str) -> Option<Vec<&'a str>> {
        match self.metadata.get(key)? {
            gguf::Value::Texts(ranges) => ranges
                .iter()
                .map(|range| std::str::from_utf8(&self.bytes[range.clone()]).ok())
                .collect(),
            _ => None,
        }
    }
}

fn from_safetensors(header: &header::Header) -> BTreeMap<String, TensorInfo> {
    let tensors = header.metadata.tensors();
    let info = |info: &safetensors::tensor::TensorInfo| {
        let (start, end) = info.data_offsets;
        TensorInfo {
            stored: match info.dtype {
                Dtype::BF16 => Stored::Plain(DType::BF16),
                Dtype::F16 => Stored::Plain(DType::F16),
                Dtype::F32 => Stored::Plain(DType::F32),
                other => Stored::Other(other.to_string()),
            },
            shape: info.shape.clone(),
            range: header.data_start + start..header.data_start + end,
        }
    };
    tensors
        .into_iter()
        .map(|(name, tensor)| (name, info(tensor)))
        .collect()
}
