//! `silence_latent.pt`: one tensor in PyTorch's zip format.
//!
//! The pickle inside is walked with the few opcodes a saved tensor consists of; nothing it names
//! is ever run. Anything else in the file is refused with a sentence.

use std::io::{Cursor, Read};

use candle_core::{DType, Device, Tensor};

/// Far above any silence latent (3.8 MB in the releases).
const LARGEST_STORAGE: u64 = 1 << 30;
/// A pickled tensor is about 200 bytes.
const LARGEST_PICKLE: u64 = 64 << 10;
/// A described tensor has about 20 values; more in one remembered value is an attempt to fill
/// the memory by repeating it.
const LARGEST_REMEMBERED: usize = 64;

/// The tensor in `bytes`, f32 on the CPU, in row-major order.
///
/// # Errors
/// A sentence that says what is wrong with the file.
pub(super) fn tensor(bytes: &[u8]) -> Result<Tensor, String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| format!("this is not a file saved by PyTorch ({error})"))?;
    let names: Vec<String> = archive
        .file_names_raw()
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    let folder = names
        .iter()
        .find_map(|name| name.strip_suffix("data.pkl"))
        .ok_or("there is no data.pkl in it, so it was not saved by PyTorch")?
        .to_owned();
    if names.contains(&format!("{folder}byteorder")) {
        let order = entry(&mut archive, &format!("{folder}byteorder"), 16)?;
        if order != b"little" {
            return Err("it was saved in big-endian byte order".into());
        }
    }
    let program = entry(&mut archive, &format!("{folder}data.pkl"), LARGEST_PICKLE)?;
    let info = described(Machine::run(&program)?)?;
    let storage = entry(
        &mut archive,
        &format!("{folder}data/{}", info.key),
        LARGEST_STORAGE,
    )?;
    gather(&info, &storage)
}

fn entry(
    archive: &mut zip::ZipArchive<Cursor<&[u8]>>,
    name: &str,
    largest: u64,
) -> Result<Vec<u8>, String> {
    let file = archive
        .by_name(name)
        .map_err(|error| format!("{name} cannot be read from it ({error})"))?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file of the largest size from a larger one.
    file.take(largest + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("{name} cannot be read from it ({error})"))?;
    if bytes.len() as u64 > largest {
        return Err(format!("{name} in it is too large"));
    }
    Ok(bytes)
}

/// Values of a pickle, as far as tensors need them.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    None,
    Bool(bool),
    Int(i64),
    Text(String),
    /// `module name`, never looked up.
    Global(String),
    Tuple(Vec<Self>),
    /// A dictionary; what is in it does not matter.
    Dict,
    /// `persistent_load` of a storage.
    Storage(Vec<Self>),
    /// `callable(*arguments)`, not called.
    Call(String, Vec<Self>),
}

impl Value {
    /// Values in it, itself included.
    fn count(&self) -> usize {
        match self {
            Self::Tuple(values) | Self::Storage(values) | Self::Call(_, values) => {
                1 + values.iter().map(Self::count).sum::<usize>()
            }
            _ => 1,
        }
    }
}

/// A pickle machine of the opcodes protocol 2 to 4 writes for tensors.
struct Machine<'a> {
    rest: &'a [u8],
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: Vec<(u32, Value)>,
}

impl<'a> Machine<'a> {
    fn run(program: &'a [u8]) -> Result<Value, String> {
        let mut machine = Self {
            rest: program,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
        };
        loop {
            let [opcode] = machine.take()?;
            if opcode == b'.' {
                return machine.pop();
            }
            machine.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            // PROTO, FRAME: no meaning for us.
            0x80 => drop(self.take::<1>()?),
            0x95 => drop(self.take::<8>()?),
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'K' => {
                let [value] = self.take()?;
                self.stack.push(Value::Int(value.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.take()?);
                self.stack.push(Value::Int(value.into()));
            }
            b'J' => {
                let value = i32::from_le_bytes(self.take()?);
                self.stack.push(Value::Int(value.into()));
            }
            // LONG1
            0x8a => {
                let [len] = self.take()?;
                let value = self.long(len)?;
                self.stack.push(Value::Int(value));
            }
            // BINUNICODE, SHORT_BINUNICODE
            b'X' => {
                let len = u32::from_le_bytes(self.take()?);
                self.text(len as usize)?;
            }
            0x8c => {
                let [len] = self.take()?;
                self.text(len.into())?;
            }
            // GLOBAL
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.stack.push(Value::Global(format!("{module} {name}")));
            }
            // STACK_GLOBAL
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(name), Value::Text(module)) = (name, module) else {
                    return Err(unknown("a name that is no text"));
                };
                self.stack.push(Value::Global(format!("{module} {name}")));
            }
            b')' => self.stack.push(Value::Tuple(Vec::new())),
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' => {
                let values = self.since_mark()?;
                self.stack.push(Value::Tuple(values));
            }
            b'}' => self.stack.push(Value::Dict),
            // SETITEMS, SETITEM, BUILD: contents of dictionaries and hooks of objects.
            b'u' => drop(self.since_mark()?),
            b's' => {
                self.pop()?;
                self.pop()?;
            }
            b'b' => drop(self.pop()?),
            b'q' => {
                let [slot] = self.take()?;
                self.remember(slot.into())?;
            }
            b'r' => {
                let slot = u32::from_le_bytes(self.take()?);
                self.remember(slot)?;
            }
            // MEMOIZE
            0x94 => self.remember(self.memo.len() as u32)?,
            b'h' => {
                let [slot] = self.take()?;
                self.recall(slot.into())?;
            }
            b'j' => {
                let slot = u32::from_le_bytes(self.take()?);
                self.recall(slot)?;
            }
            // BINPERSID
            b'Q' => match self.pop()? {
                Value::Tuple(values) => self.stack.push(Value::Storage(values)),
                _ => return Err(unknown("a storage without description")),
            },
            // REDUCE
            b'R' => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                let (Value::Tuple(arguments), Value::Global(name)) = (arguments, callable) else {
                    return Err(unknown("a call of something that is no function"));
                };
                self.stack.push(Value::Call(name, arguments));
            }
            other => return Err(unknown(&format!("the opcode {other:#04x}"))),
        }
        Ok(())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (head, rest) = self
            .rest
            .split_first_chunk()
            .ok_or("data.pkl in it is truncated")?;
        self.rest = rest;
        Ok(*head)
    }

    fn bytes(&mut self, len: usize) -> Result<&'a [u8], String> {
        let (head, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or("data.pkl in it is truncated")?;
        self.rest = rest;
        Ok(head)
    }

    fn line(&mut self) -> Result<String, String> {
        let end = self
            .rest
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or("data.pkl in it is truncated")?;
        let line = String::from_utf8_lossy(self.bytes(end)?).into_owned();
        self.bytes(1)?;
        Ok(line)
    }

    fn text(&mut self, len: usize) -> Result<(), String> {
        let text = String::from_utf8_lossy(self.bytes(len)?).into_owned();
        self.stack.push(Value::Text(text));
        Ok(())
    }

    /// A little-endian two's complement number of `len` bytes.
    fn long(&mut self, len: u8) -> Result<i64, String> {
        let bytes = self.bytes(len.into())?;
        if bytes.len() > 8 {
            return Err(unknown("a number of more than eight bytes"));
        }
        let negative = bytes.last().is_some_and(|byte| *byte >= 0x80);
        let mut full = [if negative { 0xff } else { 0 }; 8];
        full[..bytes.len()].copy_from_slice(bytes);
        Ok(i64::from_le_bytes(full))
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(|| unknown("an empty stack"))
    }

    fn tuple(&mut self, len: usize) -> Result<(), String> {
        let start = self
            .stack
            .len()
            .checked_sub(len)
            .ok_or_else(|| unknown("an empty stack"))?;
        let values = self.stack.split_off(start);
        self.stack.push(Value::Tuple(values));
        Ok(())
    }

    fn since_mark(&mut self) -> Result<Vec<Value>, String> {
        let start = self.marks.pop().ok_or_else(|| unknown("no mark"))?;
        if start > self.stack.len() {
            return Err(unknown("no mark"));
        }
        Ok(self.stack.split_off(start))
    }

    fn remember(&mut self, slot: u32) -> Result<(), String> {
        let value = self.stack.last().ok_or_else(|| unknown("an empty stack"))?;
        if value.count() > LARGEST_REMEMBERED {
            return Err(unknown("a value of many parts"));
        }
        self.memo.push((slot, value.clone()));
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<(), String> {
        let found = self.memo.iter().rev().find(|(have, _)| *have == slot);
        let (_, value) = found.ok_or_else(|| unknown("something never remembered"))?;
        self.stack.push(value.clone());
        Ok(())
    }
}

fn unknown(what: &str) -> String {
    format!("data.pkl in it holds more than a tensor ({what})")
}

/// A tensor as the pickle describes it.
#[derive(Debug, PartialEq)]
struct Info {
    key: String,
    dtype: DType,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

fn described(value: Value) -> Result<Info, String> {
    let (name, mut arguments) = match value {
        Value::Call(name, arguments) => (name, arguments),
        other => return Err(unknown(&format!("{other:?} in place of a tensor"))),
    };
    if name == "torch._utils _rebuild_parameter" && !arguments.is_empty() {
        return described(arguments.swap_remove(0));
    }
    if name != "torch._utils _rebuild_tensor_v2" {
        return Err(unknown(&name));
    }
    let [
        Value::Storage(storage),
        offset,
        Value::Tuple(shape),
        Value::Tuple(strides),
        ..,
    ] = arguments.as_slice()
    else {
        return Err(unknown("a tensor without storage, shape or strides"));
    };
    let [_, Value::Global(kind), Value::Text(key), ..] = storage.as_slice() else {
        return Err(unknown("a storage without type"));
    };
    let dtype = match kind.as_str() {
        "torch FloatStorage" => DType::F32,
        "torch BFloat16Storage" => DType::BF16,
        "torch HalfStorage" => DType::F16,
        other => {
            return Err(format!(
                "its tensor is stored as {other}; float32, bfloat16 and float16 can be read"
            ));
        }
    };
    let size = |value: &Value| match value {
        Value::Int(value) => usize::try_from(*value).ok(),
        _ => None,
    };
    let sizes = |values: &[Value]| values.iter().map(size).collect::<Option<Vec<_>>>();
    match (size(offset), sizes(shape), sizes(strides)) {
        (Some(offset), Some(shape), Some(strides)) if shape.len() == strides.len() => Ok(Info {
            key: key.clone(),
            dtype,
            offset,
            shape,
            strides,
        }),
        _ => Err(unknown("sizes that are no numbers")),
    }
}

/// Values of the storage in row-major order.
fn gather(info: &Info, storage: &[u8]) -> Result<Tensor, String> {
    let width = info.dtype.size_in_bytes();
    let truncated = || {
        format!(
            "data/{} in it is shorter than its shape {:?} asks for",
            info.key, info.shape
        )
    };
    let count = info
        .shape
        .iter()
        .try_fold(1usize, |n, size| n.checked_mul(*size))
        .ok_or_else(truncated)?;
    // Every element has a place of its own in a saved tensor, so more of them than the storage
    // holds is damage (and not worth the memory).
    if count > storage.len() / width {
        return Err(truncated());
    }
    let mut values = Vec::with_capacity(count * width);
    let mut index = vec![0usize; info.shape.len()];
    for _ in 0..count {
        let place = index
            .iter()
            .zip(&info.strides)
            .try_fold(info.offset, |place, (i, stride)| {
                place.checked_add(i.checked_mul(*stride)?)
            })
            .and_then(|place| place.checked_mul(width))
            .ok_or_else(truncated)?;
        let value = storage
            .get(place..place.saturating_add(width))
            .ok_or_else(truncated)?;
        values.extend_from_slice(value);
        for (i, size) in index.iter_mut().zip(&info.shape).rev() {
            *i += 1;
            if *i < *size {
                break;
            }
            *i = 0;
        }
    }
    Tensor::from_raw_buffer(&values, info.dtype, &info.shape, &Device::Cpu)
        .and_then(|tensor| tensor.to_dtype(DType::F32))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
