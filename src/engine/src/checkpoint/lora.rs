//! Adapters of the DiT: LoRA and LoKr files as PEFT, ComfyUI, diffusers, kohya and LyCORIS write
//! them (engine.md 11).
//!
//! A file is opened by its header: which layers it changes, how, and whether they fit a DiT is
//! known before a weight is read. What cannot be computed beside a layer (DoRA, Tucker cores,
//! differences of whole weights) is refused with its name. The scale of a file is
//! `alpha / r` of LoRA (Hu et al. 2021), `alpha / sqrt(r)` where the config says so, and for
//! LyCORIS' LoKr 1 where both factors are whole (`LokrModule` there).

mod find;
mod keys;
mod layers;
mod peft;
mod report;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use acestep_domain::{lora::LoraKind, note::Note};
use candle_core::{DType, Device, Tensor};
use sha2::{Digest, Sha256};

use self::{
    find::{Place, places},
    keys::{Key, Part},
    peft::PeftConfig,
};
pub use self::{
    layers::Layers,
    report::{LoraReport, inspect_loras, list_loras},
};
use super::source::unreadable;
use crate::{
    device::Placement,
    error::{Error, Result, Stage, message},
    memory::room::for_bytes,
    nn::{Delta, Factor, Matrix, WeightFile, Weights, weights::OpenError},
};

/// Keys that are named in a message before the rest is only counted.
const NAMED: usize = 3;

/// An adapter whose header was read.
pub struct Lora {
    name: String,
    kind: LoraKind,
    path: PathBuf,
    config_path: Option<PathBuf>,
    config: PeftConfig,
    /// Parts of each module, by the module's name in the file.
    modules: BTreeMap<String, Parts>,
    /// Keys that are of no adapter.
    strangers: Vec<String>,
    file: WeightFile,
    stamp: Stamp,
}

/// Tells files from others under their names without reading them: path, bytes and time of the last
/// change of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(Vec<(PathBuf, u64, Option<SystemTime>)>);

/// Key and shape of each part of a module.
type Parts = BTreeMap<Part, (String, Vec<usize>)>;

/// A matrix of the file: its key and `[rows, width]`.
type Stored = (String, (usize, usize));

/// A matrix `[rows, width]`, or two that make one.
enum Plan {
    Whole(Stored),
    Product { left: Stored, right: Stored },
}

/// What a module adds, before anything is read.
enum Form {
    LowRank(Plan),
    Kronecker { w1: Plan, w2: Plan },
}

/// A module that fits a layer.
struct Fit {
    layer: String,
    form: Form,
    scale: f64,
}

/// What an adapter adds to a layer at scale 1.
#[derive(Debug, Clone)]
pub struct LayerDelta {
    /// Path of the layer below `decoder`.
    pub layer: String,
    /// What is added.
    pub delta: Arc<Delta>,
    /// Times this.
    pub scale: f64,
}

impl Plan {
    fn dims(&self) -> (usize, usize) {
        match self {
            Self::Whole((_, dims)) => *dims,
            Self::Product { left, right } => (left.1.0, right.1.1),
        }
    }

    fn rank(&self) -> Option<usize> {
        match self {
            Self::Whole(_) => None,
            Self::Product { right, .. } => Some(right.1.0),
        }
    }
}

impl Form {
    /// `(out, in)` of the layer it is for; 0 where they cannot be counted.
    fn dims(&self) -> (usize, usize) {
        match self {
            Self::LowRank(plan) => plan.dims(),
            Self::Kronecker { w1, w2 } => {
                let ((o1, i1), (o2, i2)) = (w1.dims(), w2.dims());
                (
                    o1.checked_mul(o2).unwrap_or_default(),
                    i1.checked_mul(i2).unwrap_or_default(),
                )
            }
        }
    }

    fn rank(&self) -> Option<usize> {
        match self {
            Self::LowRank(plan) => plan.rank(),
            Self::Kronecker { w1, w2 } => w1.rank().or(w2.rank()),
        }
    }
}

impl Lora {
    /// Opens the adapter `name` of the folder `dir`: a folder or a safetensors file in it, or
    /// `dir` itself.
    ///
    /// # Errors
    /// There is none of that name, its files are damaged, or its method is not supported.
    pub fn open(dir: &Path, name: &str) -> Result<Self> {
        let places = places(dir);
        let wanted = name.strip_suffix(".safetensors").unwrap_or(name);
        let found = places
            .iter()
            .find(|place| place.name == name)
            .or_else(|| places.iter().find(|place| place.name == wanted));
        match found {
            Some(place) => Self::at(place),
            None => Err(Error::NoLora {
                name: name.to_owned(),
                there: places.into_iter().map(|place| place.name).collect(),
            }),
        }
    }

    fn at(place: &Place) -> Result<Self> {
        Self::read(place).map_err(|reason| Error::Lora {
            name: place.name.clone(),
            reason,
        })
    }

    fn read(place: &Place) -> Result<Self, String> {
        let path = place.weights.clone()?;
        let file = WeightFile::open(&path).map_err(|error| match error {
            OpenError::Io(error) => unreadable(&error),
            OpenError::Damage(damage) => damage.to_string(),
        })?;
        let config = match &place.config {
            Some(path) => {
                let bytes = std::fs::read(path).map_err(|error| unreadable(&error))?;
                PeftConfig::from_json(&bytes)?
            }
            None => PeftConfig::from_header(|key| file.text(key).map(str::to_owned))?,
        };
        let mut modules = BTreeMap::<String, Parts>::new();
        let mut strangers = Vec::new();
        for (key, info) in file.tensors() {
            match keys::read(key) {
                Key::Of(module, part) => {
                    let parts = modules.entry(module.to_owned()).or_default();
                    if let Some((other, _)) = parts.insert(part, (key.clone(), info.shape.clone()))
                    {
                        return Err(format!("{other} and {key} mean the same"));
                    }
                }
                Key::Refused(method) => {
                    return Err(format!("it uses {method} ({key}), which is not supported"));
                }
                Key::Stranger => strangers.push(key.clone()),
            }
        }
        // A module needs more than an alpha to be one.
        modules.retain(|_, parts| parts.keys().any(|part| *part != Part::Alpha));
        if modules.is_empty() {
            return Err(match strangers.len() {
                0 => "there is no tensor in it".to_owned(),
                _ => format!(
                    "there is no tensor of an adapter in it; there {}",
                    named("are", &strangers)
                ),
            });
        }
        let stamp = Stamp::of([&path].into_iter().chain(&place.config));
        Ok(Self {
            name: place.name.clone(),
            kind: kind_of(place.config.is_some(), &modules),
            path,
            config_path: place.config.clone(),
            config,
            modules,
            strangers,
            file,
            stamp,
        })
    }

    /// What it is called by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Values of its matrices.
    pub fn values(&self) -> u64 {
        let parts = self.modules.values().flat_map(BTreeMap::values);
        parts
            .map(|(_, shape)| shape.iter().product::<usize>() as u64)
            .sum()
    }

    /// Tells whether its files are still those that were read.
    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// SHA-256 of its weights and its config, hexadecimal; reads them whole.
    ///
    /// # Errors
    /// The config cannot be read any more.
    pub fn hash(&self) -> Result<String> {
        let mut hasher = Sha256::new();
        hasher.update(self.file.bytes());
        if let Some(path) = &self.config_path {
            let bytes = std::fs::read(path).map_err(|error| self.refuse(unreadable(&error)))?;
            hasher.update(bytes);
        }
        Ok(format!("{:x}", hasher.finalize()))
    }

    /// Refuses the adapter unless its layers are those of `layers`; tells what of it is left out.
    ///
    /// # Errors
    /// A layer has another shape (the message names both), or none of them is there.
    pub fn check(&self, layers: &Layers) -> Result<Vec<Note>> {
        self.fits(layers).map(|(_, notes)| notes)
    }

    /// Reads what it adds to each of `layers`. All of it fits or nothing is read.
    ///
    /// # Errors
    /// As [`Self::check`], values that are not finite, or too little memory.
    pub fn load(&self, layers: &Layers, placement: &Placement) -> Result<Vec<LayerDelta>> {
        let (fits, _) = self.fits(layers)?;
        // As they are stored, and as they are used.
        let bytes = 2 * self.values() * placement.dtype.size_in_bytes() as u64;
        for_bytes(Stage::Load, bytes, &placement.device)?;
        let weights = self.weights(placement.dtype, &placement.device)?;
        fits.into_iter()
            .map(|fit| {
                let delta = match &fit.form {
                    Form::LowRank(plan) => Delta::LowRank(self.factor(&weights, plan)?),
                    Form::Kronecker { w1, w2 } => Delta::Kronecker {
                        w1: self.factor(&weights, w1)?,
                        w2: self.factor(&weights, w2)?,
                    },
                };
                Ok(LayerDelta {
                    layer: fit.layer,
                    delta: Arc::new(delta),
                    scale: fit.scale,
                })
            })
            .collect()
    }

    fn refuse(&self, reason: impl Into<String>) -> Error {
        Error::Lora {
            name: self.name.clone(),
            reason: reason.into(),
        }
    }

    fn weights(&self, dtype: DType, device: &Device) -> Result<Weights> {
        // Opened anew: a map is cheap, and this one is kept for the hash.
        let file = WeightFile::open(&self.path).map_err(|error| self.refuse(error.to_string()))?;
        Weights::new(vec![file], dtype, device).map_err(|damage| self.refuse(damage.to_string()))
    }

    fn fits(&self, layers: &Layers) -> Result<(Vec<Fit>, Vec<Note>)> {
        let mut fits = BTreeMap::<String, Fit>::new();
        let mut outside = Vec::new();
        for (written, parts) in &self.modules {
            let Some((layer, dims)) = layers.find(written) else {
                outside.push(written.clone());
                continue;
            };
            let form = form(written, parts).map_err(|reason| self.refuse(reason))?;
            if form.dims() != dims {
                let (out, input) = form.dims();
                return Err(self.refuse(format!(
                    "{layer} has the shape [{}, {}] in {}, and the adapter was made for [{out}, {input}]",
                    dims.0,
                    dims.1,
                    layers.base()
                )));
            }
            let scale = self.scale(written, parts, &form)?;
            let fit = Fit {
                layer: layer.to_owned(),
                form,
                scale,
            };
            if fits.insert(layer.to_owned(), fit).is_some() {
                return Err(self.refuse(format!("it changes {layer} twice")));
            }
        }
        if fits.is_empty() {
            return Err(self.refuse(format!(
                "none of its modules is a layer of {}; it names {}",
                layers.base(),
                named("", &outside)
            )));
        }
        outside.extend(self.strangers.iter().cloned());
        let note = (!outside.is_empty()).then(|| {
            Note::new(
                "lora_keys_unused",
                "loras",
                format!(
                    "LoRA {}: {} of its modules or tensors are no layers of {} and are not used, for example {}.",
                    self.name,
                    outside.len(),
                    layers.base(),
                    outside[0]
                ),
            )
        });
        Ok((fits.into_values().collect(), note.into_iter().collect()))
    }

    /// What the change of a module is multiplied by.
    fn scale(&self, module: &str, parts: &Parts, form: &Form) -> Result<f64> {
        // Patterns of the config see the module without what PEFT or diffusers put before it.
        let module = ["base_model.model.", "transformer."]
            .iter()
            .find_map(|prefix| module.strip_prefix(prefix))
            .unwrap_or(module);
        let own = match parts.get(&Part::Alpha) {
            Some((key, shape)) => Some(self.alpha(key, shape)?),
            None => None,
        };
        // LyCORIS writes 0 for "the rank".
        let own = own.filter(|alpha| *alpha != 0.0);
        let scale = match (form, form.rank()) {
            (Form::LowRank(_), Some(r)) => self.config.low_rank_scale(module, r, own),
            (Form::LowRank(_), None) => Ok(1.0),
            (Form::Kronecker { .. }, rank) => self.config.kronecker_scale(module).map(|peft| {
                let lycoris = || match (own, rank) {
                    (Some(alpha), Some(r)) => alpha / r as f64,
                    _ => 1.0,
                };
                peft.unwrap_or_else(lycoris)
            }),
        };
        let scale = scale.map_err(|reason| self.refuse(reason))?;
        if scale.is_finite() {
            Ok(scale)
        } else {
            Err(self.refuse(format!("the alpha of {module} is not a finite number")))
        }
    }

    fn alpha(&self, key: &str, shape: &[usize]) -> Result<f64> {
        if shape.iter().product::<usize>() != 1 {
            return Err(self.refuse(format!(
                "{key} has shape {shape:?}, and one number is needed"
            )));
        }
        let read = || -> candle_core::Result<f32> {
            let values = self
                .weights(DType::F32, &Device::Cpu)
                .map_err(candle_core::Error::wrap)?
                .get(shape, key)?
                .flatten_all()?
                .to_vec1::<f32>()?;
            values
                .first()
                .copied()
                .ok_or_else(|| candle_core::Error::Msg(format!("{key} is empty")))
        };
        let alpha = read().map_err(|error| self.refuse(message(&error)))?;
        if alpha.is_finite() {
            Ok(f64::from(alpha))
        } else {
            Err(self.refuse(format!("{key} is not a finite number")))
        }
    }

    fn factor(&self, weights: &Weights, plan: &Plan) -> Result<Factor> {
        let matrix = |(key, dims): &Stored| -> Result<Matrix> {
            let tensor = weights.get(*dims, key).map_err(|error| {
                match Error::in_stage(Stage::Load)(error) {
                    Error::Stage { source, .. } => self.refuse(message(&source)),
                    other => other,
                }
            })?;
            if is_finite(&tensor).map_err(Error::in_stage(Stage::Load))? {
                Ok(Matrix::Dense(tensor))
            } else {
                Err(self.refuse(format!("{key} holds values that are not finite")))
            }
        };
        Ok(match plan {
            Plan::Whole(whole) => Factor::Whole(matrix(whole)?),
            Plan::Product { left, right } => Factor::Product {
                left: matrix(left)?,
                right: matrix(right)?,
            },
        })
    }
}

impl Stamp {
    fn of<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let one = |path: &PathBuf| {
            let meta = std::fs::metadata(path).ok();
            (
                path.clone(),
                meta.as_ref().map_or(0, std::fs::Metadata::len),
                meta.and_then(|meta| meta.modified().ok()),
            )
        };
        Self(paths.into_iter().map(one).collect())
    }
}

/// A sum is finite when every value is, and none of them is near the end of f32.
fn is_finite(tensor: &Tensor) -> candle_core::Result<bool> {
    let sum = tensor
        .to_dtype(DType::F32)?
        .abs()?
        .sum_all()?
        .to_scalar::<f32>()?;
    Ok(sum.is_finite())
}

/// Names the first few of `names`, and counts the rest.
fn named(verb: &str, names: &[String]) -> String {
    let first = names[..names.len().min(NAMED)].join(", ");
    let rest = names.len().saturating_sub(NAMED);
    let more = if rest > 0 {
        format!(" and {rest} more")
    } else {
        String::new()
    };
    format!("{verb} {first}{more}").trim_start().to_owned()
}

/// How a module's parts make its change.
fn form(module: &str, parts: &Parts) -> Result<Form, String> {
    let matrix = |part: Part| -> Result<Option<Stored>, String> {
        let Some((key, shape)) = parts.get(&part) else {
            return Ok(None);
        };
        match shape.as_slice() {
            &[rows, width] if rows > 0 && width > 0 => Ok(Some((key.clone(), (rows, width)))),
            shape => Err(format!("{key} has shape {shape:?}, and a matrix is needed")),
        }
    };
    let product = |left: Part, right: Part| -> Result<Option<Plan>, String> {
        match (matrix(left)?, matrix(right)?) {
            (Some(left), Some(right)) if left.1.1 == right.1.0 => {
                Ok(Some(Plan::Product { left, right }))
            }
            (Some(left), Some(right)) => Err(format!(
                "{} has the rank {} and {} the rank {}",
                left.0, left.1.1, right.0, right.1.0
            )),
            (None, None) => Ok(None),
            (there, _) => {
                let (there, missing) = if there.is_some() {
                    (left, right)
                } else {
                    (right, left)
                };
                Err(format!(
                    "{module} has {} but no {}",
                    there.as_str(),
                    missing.as_str()
                ))
            }
        }
    };
    let half = |whole: Part, left: Part, right: Part| -> Result<Option<Plan>, String> {
        match (matrix(whole)?, product(left, right)?) {
            (Some(whole), None) => Ok(Some(Plan::Whole(whole))),
            (Some(_), Some(_)) => Err(format!(
                "{module} has {} both whole and as a product",
                whole.as_str()
            )),
            (None, product) => Ok(product),
        }
    };
    let low_rank = product(Part::B, Part::A)?;
    let w1 = half(Part::W1, Part::W1A, Part::W1B)?;
    let w2 = half(Part::W2, Part::W2A, Part::W2B)?;
    match (low_rank, w1, w2) {
        (Some(plan), None, None) => Ok(Form::LowRank(plan)),
        (None, Some(w1), Some(w2)) => Ok(Form::Kronecker { w1, w2 }),
        (Some(_), _, _) => Err(format!("{module} is both LoRA and LoKr")),
        (None, Some(_), None) => Err(format!("{module} has lokr_w1 but no lokr_w2")),
        (None, _, _) => Err(format!("{module} has lokr_w2 but no lokr_w1")),
    }
}

/// The layout, by the names in it.
fn kind_of(has_config: bool, modules: &BTreeMap<String, Parts>) -> LoraKind {
    let any = |test: &dyn Fn(&str) -> bool| modules.keys().any(|module| test(module));
    if modules
        .values()
        .any(|parts| parts.keys().any(|part| part.is_lokr()))
    {
        LoraKind::Lokr
    } else if has_config || any(&|module| module.starts_with("base_model.")) {
        LoraKind::Peft
    } else if any(&|module| !module.contains('.')) {
        LoraKind::Kohya
    } else if any(&|module| module.starts_with("transformer.") || module.contains(".to_")) {
        LoraKind::Diffusers
    } else {
        LoraKind::Comfyui
    }
}
