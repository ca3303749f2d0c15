//! Tensors of a checkpoint, walked by prefix.
//!
//! [`Weights`] settles where tensors live and in which precision, so that nothing above asks.
//! Tensors are read where they lie (mapped files or bytes inside the binary), cast to the load
//! dtype and moved to the device when a network takes them. Every name taken is written to a
//! ledger: [`Weights::unused`] tells what a checkpoint holds that no network wanted.
//!
//! It opens safetensors and GGUF files and nothing else; which files make a model is
//! `checkpoint`'s knowledge. Matrices of layers are taken with [`Weights::matrix`], which keeps
//! quantised ones as they are and quantises the others where [`Formats`] say so.

mod file;
mod formats;
pub(crate) mod gguf;
pub mod header;
mod matrices;

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Display,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use candle_core::{DType, Device, Result, Shape, Tensor, bail};
use half::{bf16, f16};

pub(in crate::nn) use file::Content;
pub use file::{Metadata, OpenError, Stored, TensorInfo, WeightFile};
pub use formats::{Formats, Held, Misfits, Role};
pub use header::Damage;

use crate::{
    error::message,
    kernels::quantized::{Blocks, Format, SharedBytes},
    room,
};

/// Values of a tensor that is not there which a rehearsal still invents.
const MOST_ZEROS: usize = 1 << 26;

struct Shared {
    files: Arc<Vec<WeightFile>>,
    /// Tensor name to the file that holds it.
    index: Arc<HashMap<String, usize>>,
    device: Device,
    taken: Mutex<BTreeSet<String>>,
    held: Mutex<Held>,
    /// Complaints of [`Weights::get`], collected instead of returned.
    complaints: Option<Mutex<Vec<String>>>,
    /// There is nothing to look for and nothing to complain about; tensors would be stored so.
    survey: Option<DType>,
}

impl Shared {
    /// Files of which nothing is taken yet.
    fn new(
        files: Arc<Vec<WeightFile>>,
        index: Arc<HashMap<String, usize>>,
        device: &Device,
        rehearsal: bool,
    ) -> Self {
        Self {
            files,
            index,
            device: device.clone(),
            taken: Mutex::default(),
            held: Mutex::default(),
            complaints: rehearsal.then(Mutex::default),
            survey: None,
        }
    }
}

/// A walk over the tensors of one checkpoint. Cloning is cheap; clones share the ledger.
#[derive(Clone)]
pub struct Weights {
    shared: Arc<Shared>,
    prefix: String,
    dtype: DType,
    formats: Formats,
    in_large_pages: bool,
    prepacked: bool,
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

    /// No weights at all: what a network that is loaded from here holds afterwards is what it would
    /// hold in `dtype` with matrices in `formats`, from its config alone, of a checkpoint `stored` so.
    pub fn survey(dtype: DType, formats: Formats, stored: DType) -> Self {
        Self {
            shared: Arc::new(Shared {
                survey: Some(stored),
                ..Shared::new(Arc::default(), Arc::default(), &Device::Cpu, true)
            }),
            prefix: String::new(),
            dtype,
            formats,
            in_large_pages: false,
            prepacked: false,
        }
    }

    /// The same weights from the start, as a [`Self::rehearsal`] with a ledger of its own.
    #[must_use]
    pub fn rehearse(&self) -> Self {
        Self {
            shared: Arc::new(Shared {
                survey: self.shared.survey,
                ..Shared::new(
                    Arc::clone(&self.shared.files),
                    Arc::clone(&self.shared.index),
                    &Device::Cpu,
                    true,
                )
            }),
            ..self.clone()
        }
    }

    fn join(
        files: Vec<WeightFile>,
        dtype: DType,
        device: &Device,
        rehearsal: bool,
    ) -> std::result::Result<Self, Damage> {
        let mut index = HashMap::new();
        for (position, file) in files.iter().enumerate() {
            for name in file.tensors().keys() {
                if index.insert(name.clone(), position).is_some() {
                    return Err(Damage::Duplicate(name.clone()));
                }
            }
        }
        Ok(Self {
            shared: Arc::new(Shared::new(
                Arc::new(files),
                Arc::new(index),
                device,
                rehearsal,
            )),
            prefix: String::new(),
            dtype,
            formats: Formats::default(),
            in_large_pages: false,
            prepacked: false,
        })
    }

    /// One step down: `w.pp("layers").pp(3)` reads names that begin with `layers.3.`.
    #[must_use]
    pub fn pp(&self, name: impl Display) -> Self {
        Self {
            prefix: below(&self.prefix, name),
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

    /// The same place; matrices that are not quantised yet come out in `formats`.
    #[must_use]
    pub fn with_formats(&self, formats: Formats) -> Self {
        Self {
            formats,
            ..self.clone()
        }
    }

    /// The same place; quantised matrices that could be used where a file of them is mapped are
    /// copied to memory of their own. A language model reads all of them for every token, which
    /// goes half as fast again from large pages; the other networks read them a few times a song.
    #[must_use]
    pub fn in_large_pages(&self) -> Self {
        Self {
            in_large_pages: true,
            ..self.clone()
        }
    }

    /// The same place; layers that are not quantised come out packed for the processor, see
    /// [`kernels::prepacked`](crate::kernels::prepacked). On a card they come out as they are.
    #[must_use]
    pub fn prepacked(&self, wanted: bool) -> Self {
        Self {
            prepacked: wanted,
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
        below(&self.prefix, name)
    }

    /// Whether the checkpoint holds `name` below the current prefix.
    pub fn contains(&self, name: &str) -> bool {
        self.shared.index.contains_key(&self.full_name(name))
    }

    /// Whether some of the checkpoint is in blocks.
    pub(crate) fn is_packed(&self) -> bool {
        let mut tensors = self.shared.files.iter().flat_map(WeightFile::tensors);
        tensors.any(|(_, info)| matches!(info.stored, Stored::Packed(_) | Stored::Panels(_)))
    }

    /// What of the files does not get its format of `formats`. What is in blocks already counts where
    /// `ours` says that we made it so.
    pub(crate) fn misfits(&self, formats: Formats, ours: bool) -> Misfits {
        let mut misfits = Misfits::default();
        let tensors = self.shared.files.iter().flat_map(WeightFile::tensors);
        for (name, info) in tensors {
            let counts = match info.stored {
                Stored::Plain(_) => true,
                Stored::Packed(_) | Stored::Panels(_) => ours,
                Stored::Other(_) => false,
            };
            if let (true, &[_, width]) = (counts, info.shape.as_slice()) {
                misfits.count(formats, Role::of(name), width);
            }
        }
        misfits
    }

    /// Takes a tensor: checked against `shape`, cast to the load dtype, moved to the device,
    /// and written to the ledger. A quantised one is decoded.
    ///
    /// # Errors
    /// The tensor is missing, has another shape (the message names both), or is stored in a
    /// format that cannot be read.
    pub fn get(&self, shape: impl Into<Shape>, name: &str) -> Result<Tensor> {
        let shape = shape.into();
        let name = self.full_name(name);
        if self.shared.survey.is_some() {
            self.hold(name, shape.elem_count() * self.dtype.size_in_bytes(), None);
            return Tensor::zeros((), self.dtype, &self.shared.device)?.broadcast_as(shape);
        }
        let found = self.find(&shape, &name);
        if let Some(complaints) = &self.shared.complaints {
            if let Err(error) = found {
                lock(complaints).push(message(&error));
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
            self.hold(name, shape.elem_count() * self.dtype.size_in_bytes(), None);
            return Tensor::zeros((), self.dtype, &self.shared.device)?.broadcast_as(shape);
        }
        let found = found?;
        let bytes = shape.elem_count() * self.dtype.size_in_bytes();
        // As it is stored, as it comes out, and as a network puts it in order.
        room::ask((found.range.len() + 2 * bytes) as u64, &self.shared.device)?;
        let tensor = match found.stored {
            Kind::Plain(stored) => {
                let (data, device) = (found.data(), &self.shared.device);
                let tensor = Tensor::from_raw_buffer(data, stored, shape.dims(), device)?;
                found.file.release(found.range.clone());
                tensor
            }
            Kind::Panels(_) => bail!("the tensor {name} is in panels, which only layers can use"),
            Kind::Packed(format) => {
                let width = shape.dims().last().copied().unwrap_or_default();
                let rows = shape.elem_count() / width.max(1);
                let blocks = found.blocks(format, (rows, width))?;
                let tensor = blocks
                    .dequantize()?
                    .reshape(shape)?
                    .to_device(&self.shared.device)?;
                found.file.release(found.range.clone());
                tensor
            }
        }
        .to_dtype(self.dtype)?;
        self.hold(name, bytes, None);
        Ok(tensor)
    }

    fn hold(&self, name: String, bytes: usize, format: Option<Format>) {
        lock(&self.shared.taken).insert(name);
        let mut held = lock(&self.shared.held);
        held.bytes += bytes as u64;
        match format {
            Some(format) => *held.packed.entry(format).or_default() += bytes as u64,
            None => held.largest = held.largest.max(bytes as u64),
        }
    }

    /// What has been taken so far.
    pub fn held(&self) -> Held {
        lock(&self.shared.held).clone()
    }

    /// Takes over what a rehearsal has taken.
    pub(crate) fn note_down(&self, rehearsal: &Self) {
        let taken = lock(&rehearsal.shared.taken).clone();
        lock(&self.shared.taken).extend(taken);
        let held = rehearsal.held();
        lock(&self.shared.held).add(&held);
    }

    /// A tensor where it lies, checked.
    fn find(&self, shape: &Shape, name: &str) -> Result<Found<'_>> {
        let held = self.shared.index.get(name).and_then(|position| {
            let file = &self.shared.files[*position];
            Some((file, file.tensors().get(name)?))
        });
        let Some((file, info)) = held else {
            bail!("the tensor {name} is missing");
        };
        // ggml counts no dimensions of 1 in front, and some writers of GGUF files drop them.
        let is_same = if file.metadata().is_some() {
            without_ones(&info.shape) == without_ones(shape.dims())
        } else {
            info.shape == shape.dims()
        };
        if !is_same {
            bail!(
                "the tensor {name} has shape {:?}, the config asks for {:?}",
                info.shape,
                shape.dims()
            );
        }
        let stored = match &info.stored {
            Stored::Plain(dtype @ (DType::BF16 | DType::F16 | DType::F32)) => Kind::Plain(*dtype),
            Stored::Packed(format) => Kind::Packed(*format),
            Stored::Panels(format) => Kind::Panels(*format),
            other => {
                bail!("the tensor {name} is stored as {other}; {READABLE} can be read")
            }
        };
        Ok(Found {
            file,
            range: info.range.clone(),
            stored,
        })
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

/// The name of `name` below `prefix`.
pub(super) fn below(prefix: &str, name: impl Display) -> String {
    if prefix.is_empty() {
        name.to_string()
    } else {
        format!("{prefix}.{name}")
    }
}

/// A shape from its first dimension on that is not 1.
fn without_ones(shape: &[usize]) -> &[usize] {
    let ones = shape.iter().take_while(|size| **size == 1).count();
    &shape[ones..]
}

/// What the networks can be loaded from.
const READABLE: &str = "BF16, F16, F32, Q8_0, Q4_K, Q5_K and Q6_K";

/// How a tensor that can be read is stored.
#[derive(Clone, Copy)]
enum Kind {
    Plain(DType),
    Packed(Format),
    Panels(Format),
}

/// A tensor of a file.
struct Found<'a> {
    file: &'a WeightFile,
    /// Inside the file: the header was checked against its length.
    range: Range<usize>,
    stored: Kind,
}

impl Found<'_> {
    fn data(&self) -> &[u8] {
        &self.file.bytes()[self.range.clone()]
    }

    fn blocks(&self, format: Format, dims: (usize, usize)) -> Result<Blocks> {
        let bytes: SharedBytes = self.file.shared();
        Blocks::new(bytes, self.range.start, format, dims)
    }
}

/// Values of one of the three plain formats, little endian.
pub(crate) fn floats(stored: DType, data: &[u8], out: &mut [f32]) {
    match stored {
        DType::F32 => {
            for (bytes, out) in data.as_chunks().0.iter().zip(out) {
                *out = f32::from_le_bytes(*bytes);
            }
        }
        DType::F16 => {
            for (bytes, out) in data.as_chunks().0.iter().zip(out) {
                *out = f16::from_le_bytes(*bytes).to_f32();
            }
        }
        _ => {
            for (bytes, out) in data.as_chunks().0.iter().zip(out) {
                *out = bf16::from_le_bytes(*bytes).to_f32();
            }
        }
    }
}

/// A ledger stays true even if a thread panicked while holding it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
