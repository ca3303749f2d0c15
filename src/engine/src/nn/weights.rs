//! Tensors of a checkpoint, walked by prefix.
//!
//! [`Weights`] settles where tensors live and in which precision, so that nothing above asks.
//! Tensors are read where they lie (mapped files or bytes inside the binary), cast to the load
//! dtype and moved to the device when a network takes them. Every name taken is written to a
//! ledger: [`Weights::unused`] tells what a checkpoint holds that no network wanted.
//!
//! It opens safetensors files and nothing else; which files make a model is
//! `checkpoint`'s knowledge.

pub mod header;

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Display,
    fs::File,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use candle_core::{DType, Device, Result, Shape, Tensor, bail};
use safetensors::Dtype;

pub use header::Damage;
use header::Header;

/// Where the bytes of a file are.
enum Bytes {
    Mapped(memmap2::Mmap),
    Static(&'static [u8]),
    Owned(Vec<u8>),
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Static(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// One safetensors file, its header read and checked.
pub struct WeightFile {
    bytes: Bytes,
    header: Header,
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
    pub fn open(path: &Path) -> std::result::Result<Self, OpenError> {
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            // An empty file cannot be mapped on every system.
            return Err(Damage::Empty.into());
        }
        #[expect(unsafe_code, reason = "mapping a file is unsafe by nature")]
        // SAFETY: the map is read only. A program that rewrites the file under us could change
        // the values we read or, by truncating it, raise a bus error; downloads therefore go to
        // a temporary name and are renamed.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Self::new(Bytes::Mapped(map))?)
    }

    /// Reads a file that is part of the binary.
    ///
    /// # Errors
    /// The content is damaged.
    pub fn from_static(bytes: &'static [u8]) -> std::result::Result<Self, Damage> {
        Self::new(Bytes::Static(bytes))
    }

    /// Reads a file that is held in memory.
    ///
    /// # Errors
    /// The content is damaged.
    pub fn from_vec(bytes: Vec<u8>) -> std::result::Result<Self, Damage> {
        Self::new(Bytes::Owned(bytes))
    }

    fn new(bytes: Bytes) -> std::result::Result<Self, Damage> {
        let header = header::parse(bytes.as_slice())?;
        Ok(Self { bytes, header })
    }

    /// Names, dtypes and shapes.
    pub fn header(&self) -> &Header {
        &self.header
    }
}

/// Values of a tensor that is not there which a rehearsal still invents.
const MOST_ZEROS: usize = 1 << 26;

struct Shared {
    files: Vec<WeightFile>,
    /// Tensor name to the file that holds it.
    index: HashMap<String, usize>,
    device: Device,
    taken: Mutex<BTreeSet<String>>,
    /// Complaints of [`Weights::get`], collected instead of returned.
    complaints: Option<Mutex<Vec<String>>>,
}

/// A walk over the tensors of one checkpoint. Cloning is cheap; clones share the ledger.
#[derive(Clone)]
pub struct Weights {
    shared: Arc<Shared>,
    prefix: String,
    dtype: DType,
}

impl Weights {
    /// Joins the files of one checkpoint. Tensors come out as `dtype` on `device`.
    ///
    /// # Errors
    /// [`Damage::Duplicate`] when two files hold the same tensor.
    pub fn new(
        files: Vec<WeightFile>,
        dtype: DType,
        device: &Device,
    ) -> std::result::Result<Self, Damage> {
        Self::join(files, dtype, device, false)
    }

    /// The same files, but [`Self::get`] reads no data and never fails: it gives zeros that take
    /// no memory and collects what it would have complained about, so that loading a network
    /// checks every name, shape and dtype of a checkpoint of any size at once.
    ///
    /// # Errors
    /// [`Damage::Duplicate`] when two files hold the same tensor.
    pub fn rehearsal(files: Vec<WeightFile>) -> std::result::Result<Self, Damage> {
        Self::join(files, DType::F32, &Device::Cpu, true)
    }

    fn join(
        files: Vec<WeightFile>,
        dtype: DType,
        device: &Device,
        rehearsal: bool,
    ) -> std::result::Result<Self, Damage> {
        let mut index = HashMap::new();
        for (position, file) in files.iter().enumerate() {
            for name in file.header.metadata.offset_keys() {
                if index.insert(name.clone(), position).is_some() {
                    return Err(Damage::Duplicate(name));
                }
            }
        }
        Ok(Self {
            shared: Arc::new(Shared {
                files,
                index,
                device: device.clone(),
                taken: Mutex::default(),
                complaints: rehearsal.then(Mutex::default),
            }),
            prefix: String::new(),
            dtype,
        })
    }

    /// One step down: `w.pp("layers").pp(3)` reads names that begin with `layers.3.`.
    #[must_use]
    pub fn pp(&self, name: impl Display) -> Self {
        let prefix = if self.prefix.is_empty() {
            name.to_string()
        } else {
            format!("{}.{name}", self.prefix)
        };
        Self {
            prefix,
            ..self.clone()
        }
    }

    /// The same place, read in another precision. The FSQ quantizer counts in f32 whatever the
    /// rest of the model runs in.
    #[must_use]
    pub fn with_dtype(&self, dtype: DType) -> Self {
        Self {
            dtype,
            ..self.clone()
        }
    }

    /// The precision tensors come out in.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Where tensors come out.
    pub fn device(&self) -> &Device {
        &self.shared.device
    }

    /// The full name of `name` below the current prefix.
    pub fn full_name(&self, name: &str) -> String {
        if self.prefix.is_empty() {
            name.to_string()
        } else {
            format!("{}.{name}", self.prefix)
        }
    }

    /// Whether the checkpoint holds `name` below the current prefix.
    pub fn contains(&self, name: &str) -> bool {
        self.shared.index.contains_key(&self.full_name(name))
    }

    /// Takes a tensor: checked against `shape`, cast to the load dtype, moved to the device,
    /// and written to the ledger.
    ///
    /// # Errors
    /// The tensor is missing, has another shape (the message names both), or is stored in a
    /// dtype other than BF16, F16 and F32.
    pub fn get(&self, shape: impl Into<Shape>, name: &str) -> Result<Tensor> {
        let shape = shape.into();
        let name = self.full_name(name);
        let found = self.find(&shape, &name);
        if let Some(complaints) = &self.shared.complaints {
            if let Err(error) = found {
                lock(complaints).push(error.to_string());
                // A network may put zeros in order, which takes memory: no more of it than a
                // file that holds the tensor would.
                let values = shape
                    .dims()
                    .iter()
                    .try_fold(1usize, |n, size| n.checked_mul(*size));
                if values.is_none_or(|values| values > MOST_ZEROS) {
                    return Err(error);
                }
            }
            lock(&self.shared.taken).insert(name);
            return Tensor::zeros((), self.dtype, &self.shared.device)?.broadcast_as(shape);
        }
        let (data, stored) = found?;
        let tensor = Tensor::from_raw_buffer(data, stored, shape.dims(), &self.shared.device)?
            .to_dtype(self.dtype)?;
        lock(&self.shared.taken).insert(name);
        Ok(tensor)
    }

    /// Bytes and dtype of a tensor, checked.
    fn find(&self, shape: &Shape, name: &str) -> Result<(&[u8], DType)> {
        let held = self.shared.index.get(name).and_then(|position| {
            let file = &self.shared.files[*position];
            Some((file, file.header.metadata.info(name)?))
        });
        let Some((file, info)) = held else {
            bail!("the tensor {name} is missing");
        };
        if info.shape != shape.dims() {
            bail!(
                "the tensor {name} has shape {:?}, the config asks for {:?}",
                info.shape,
                shape.dims()
            );
        }
        let stored = match info.dtype {
            Dtype::BF16 => DType::BF16,
            Dtype::F16 => DType::F16,
            Dtype::F32 => DType::F32,
            other => {
                bail!("the tensor {name} is stored as {other}; BF16, F16 and F32 can be read")
            }
        };
        let (start, end) = info.data_offsets;
        // The header was checked against the length of the file, so the range is inside.
        let data_start = file.header.data_start;
        Ok((
            &file.bytes.as_slice()[data_start + start..data_start + end],
            stored,
        ))
    }

    /// What a [`Self::rehearsal`] has found wrong so far, in the order of loading.
    pub fn complaints(&self) -> Vec<String> {
        self.shared
            .complaints
            .as_ref()
            .map(|complaints| lock(complaints).clone())
            .unwrap_or_default()
    }

    /// Names below the current prefix that no network has taken, sorted.
    pub fn unused(&self) -> Vec<String> {
        let taken = lock(&self.shared.taken);
        let below = |name: &str| {
            self.prefix.is_empty()
                || name
                    .strip_prefix(&self.prefix)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let mut names: Vec<String> = self
            .shared
            .index
            .keys()
            .filter(|name| below(name) && !taken.contains(*name))
            .cloned()
            .collect();
        names.sort();
        names
    }
}

/// A ledger stays true even if a thread panicked while holding it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{WeightFile, Weights};
    use candle_core::{DType, Device, Tensor};
    use std::collections::HashMap;

    fn weights(dtype: DType) -> Weights {
        let device = Device::Cpu;
        let tensors = HashMap::from([
            (
                "a.b.weight",
                Tensor::new(&[[1f32, 2.5], [-3., 0.25]], &device).unwrap(),
            ),
            (
                "a.c",
                Tensor::new(&[1f32, 2.], &device)
                    .unwrap()
                    .to_dtype(DType::BF16)
                    .unwrap(),
            ),
            ("count", Tensor::new(&[1i64], &device).unwrap()),
        ]);
        let bytes = safetensors::serialize(tensors, None).unwrap();
        Weights::new(vec![WeightFile::from_vec(bytes).unwrap()], dtype, &device).unwrap()
    }

    #[test]
    fn tensors_are_cast_and_written_to_the_ledger() {
        let w = weights(DType::F32);
        let c = w.pp("a").get(2, "c").unwrap();
        assert_eq!(c.to_vec1::<f32>().unwrap(), [1., 2.]);
        assert_eq!(w.unused(), ["a.b.weight", "count"]);
        assert_eq!(w.pp("a").unused(), ["a.b.weight"]);
        assert!(w.pp("a").pp("b").contains("weight"));
        assert!(!w.contains("weight"));
    }

    #[test]
    fn errors_name_the_tensor_and_both_shapes() {
        let w = weights(DType::F32);
        let wrong = w
            .pp("a")
            .pp("b")
            .get((2, 3), "weight")
            .unwrap_err()
            .to_string();
        assert!(
            wrong.contains("a.b.weight") && wrong.contains("[2, 2]") && wrong.contains("[2, 3]"),
            "{wrong}"
        );
        let missing = w.get(1, "nowhere").unwrap_err().to_string();
        assert!(
            missing.contains("nowhere") && missing.contains("missing"),
            "{missing}"
        );
        let kind = w.get(1, "count").unwrap_err().to_string();
        assert!(kind.contains("count") && kind.contains("I64"), "{kind}");
    }

    #[test]
    fn a_rehearsal_collects_every_complaint() {
        let tensors = HashMap::from([("a", Tensor::new(&[1f32, 2.], &Device::Cpu).unwrap())]);
        let bytes = safetensors::serialize(tensors, None).unwrap();
        let w = Weights::rehearsal(vec![WeightFile::from_vec(bytes).unwrap()]).unwrap();
        assert_eq!(w.get(3, "a").unwrap().dims(), [3]);
        assert_eq!(w.get((2, 2), "b").unwrap().dims(), [2, 2]);
        let complaints = w.complaints();
        assert!(
            complaints[0].contains("[2]") && complaints[0].contains("[3]"),
            "{complaints:?}"
        );
        assert!(
            complaints[1].contains('b') && complaints[1].contains("missing"),
            "{complaints:?}"
        );
    }

    #[test]
    fn one_tensor_in_two_files_is_refused() {
        let file = || {
            let one = HashMap::from([("x", Tensor::new(&[1f32], &Device::Cpu).unwrap())]);
            WeightFile::from_vec(safetensors::serialize(one, None).unwrap()).unwrap()
        };
        assert!(Weights::new(vec![file(), file()], DType::F32, &Device::Cpu).is_err());
    }
}
