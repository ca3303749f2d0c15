//! The memory of a run, planned before anything is loaded for it; and, where the user allows it, what is
//! lowered so that the run fits.

use std::path::Path;

use super::Failure;
use acestep_domain::{
    GenerationParams, Note,
    capabilities::DeviceKind,
    generation::clamp::minutes,
    library::MemoryReport,
    memory::{Change, MemoryPlan},
    service::{Quantization, Resolved},
};
use acestep_engine::{
    checkpoint::Checkpoint,
    engine::LoadOptions,
    memory::{
        plan::{Brought, Free, Models, Work, admit, longest_planned, plan, settle},
        probe::{CardWatch, free, peak_bytes},
    },
};

/// What the memory of a run is planned with.
#[derive(Debug)]
pub(in crate::cli) struct Memory {
    models: Models,
    pub(in crate::cli) options: LoadOptions,
    free: Free,
    /// Recordings and adapters of the run.
    pub(super) brought: Brought,
}

impl Memory {
    pub(in crate::cli) fn new(
        checkpoint: &Checkpoint,
        root: &Path,
        resolved: &Resolved,
    ) -> Result<Self, Failure> {
        let models = Models::of(checkpoint).with_lm(root, resolved.lm())?;
        let free = free(resolved.device);
        Ok(Self {
            options: settle(LoadOptions::from(resolved), &models, free),
            models,
            free,
            brought: Brought::default(),
        })
    }

    fn plan(&self, params: &GenerationParams) -> MemoryPlan {
        let work = Work::of(params, &self.models).with(self.brought);
        plan(&self.models, &self.options, work, self.free)
    }

    /// The plan of a run by `params`, which fits.
    pub(in crate::cli) fn admit(&self, params: &GenerationParams) -> Result<MemoryPlan, Failure> {
        let plan = self.plan(params);
        admit(&plan)?;
        Ok(plan)
    }

    /// The longest song of at most `most_secs` that a language model may plan for `params`, see
    /// [`longest_planned`].
    pub(super) fn longest_planned(
        &self,
        params: &GenerationParams,
        most_secs: u32,
    ) -> (u32, Option<Note>) {
        let asked = (params, self.brought);
        longest_planned(&self.models, &self.options, asked, self.free, most_secs)
    }

    /// Lowers settings and parameters of a run that does not fit by the least that its plan knows, with a
    /// note for each. Where it fits, and where nothing is enough, all stays as it is.
    pub(super) fn fit(
        &mut self,
        checkpoint: &Checkpoint,
        resolved: &mut Resolved,
        params: &mut GenerationParams,
    ) -> Vec<Note> {
        let plan = self.plan(params);
        let Some(smaller) = plan.next_smaller.filter(|_| !plan.fits) else {
            return Vec::new();
        };
        let before = resolved.clone();
        let settings = &mut (&mut *resolved, &mut self.options);
        let changes = smaller.changes.iter();
        let notes = changes
            .filter_map(|change| lower(change, settings, params))
            .collect();
        if before.lm().is_some() && resolved.lm().is_none() {
            self.models = Models::of(checkpoint);
        }
        if before.device != resolved.device {
            self.free = free(resolved.device);
        }
        notes
    }
}

/// What was planned, and what was held since the models were loaded.
pub(super) fn report_of(planned: &MemoryPlan, card: Option<&CardWatch>) -> MemoryReport {
    MemoryReport {
        planned_bytes: planned.expected_peak_bytes,
        measured_host_bytes: peak_bytes(),
        measured_device_bytes: card.and_then(CardWatch::most),
    }
}

/// Makes one change; the note says what was asked and what is used.
fn lower(
    change: &Change,
    (resolved, options): &mut (&mut Resolved, &mut LoadOptions),
    params: &mut GenerationParams,
) -> Option<Note> {
    let value = &change.value;
    let on = |on: bool| if on { "on" } else { "off" }.to_owned();
    let (name, asked, used) = match change.field.as_str() {
        "batch_size" => {
            let takes = usize::try_from(value.as_u64()?).ok()?;
            let asked = std::mem::replace(&mut params.batch_size, takes);
            ("Takes", asked.to_string(), takes.to_string())
        }
        "duration" => {
            let secs = value.as_f64()?;
            let asked = params.duration_secs.replace(secs);
            let asked = asked.map_or_else(|| "auto".to_owned(), minutes);
            ("Length", asked, minutes(secs))
        }
        "offload_to_cpu" => {
            options.offload_to_cpu = true;
            let asked = std::mem::replace(&mut resolved.offload_to_cpu, true);
            ("Offload to CPU", on(asked), on(true))
        }
        "offload_dit_to_cpu" => {
            options.offload_dit_to_cpu = true;
            let asked = std::mem::replace(&mut resolved.offload_dit_to_cpu, true);
            ("Offload DiT to CPU", on(asked), on(true))
        }
        "quantization" => {
            let format = value.as_str().and_then(Quantization::from_name)?;
            options.quantization = format;
            let asked = std::mem::replace(&mut resolved.quantization, format);
            (
                "Quantisation",
                asked.as_str().to_owned(),
                format.as_str().to_owned(),
            )
        }
        "init_llm" => {
            let asked = resolved.lm().unwrap_or("none").to_owned();
            resolved.init_llm = false;
            ("Language model", asked, "none".to_owned())
        }
        "device" => {
            let asked = resolved.device.as_str().to_owned();
            **resolved = Resolved {
                device: DeviceKind::Cpu,
                full_precision: false,
                // What a card's offload keeps in host memory is all that a processor needs.
                offload_to_cpu: false,
                offload_dit_to_cpu: false,
                ..resolved.clone()
            };
            **options = LoadOptions::from(&**resolved);
            ("Device", asked, DeviceKind::Cpu.as_str().to_owned())
        }
        _ => return None,
    };
    (asked != used).then(|| change.lowered_to_fit(name, &asked, &used))
}

#[cfg(test)]
mod tests {
    use acestep_domain::service::DEMO_MODEL;
    use serde_json::{Value, json};

    use super::*;

    fn lowered(changes: &[(&str, Value)], resolved: &mut Resolved) -> (LoadOptions, Vec<Note>) {
        let mut options = LoadOptions::from(&*resolved);
        let mut params = GenerationParams {
            batch_size: 4,
            ..GenerationParams::default()
        };
        let settings = &mut (resolved, &mut options);
        let notes = changes
            .iter()
            .map(|(field, value)| Change {
                field: (*field).to_owned(),
                value: value.clone(),
            })
            .filter_map(|change| lower(&change, settings, &mut params))
            .collect();
        (options, notes)
    }

    #[test]
    fn what_is_lowered_is_told_with_what_was_asked() {
        let mut resolved = Resolved {
            lm_model_path: Some("lm".to_owned()),
            init_llm: true,
            offload_to_cpu: true,
            ..Resolved::default()
        };
        let changes = [
            ("batch_size", json!(1)),
            ("duration", json!(90.0)),
            ("offload_to_cpu", json!(true)),
            ("offload_dit_to_cpu", json!(true)),
            ("quantization", json!("int4")),
            ("init_llm", json!(false)),
        ];
        let (options, notes) = lowered(&changes, &mut resolved);
        let told: Vec<_> = notes
            .iter()
            .map(|note| {
                let figure = |name| note.figure(name).unwrap_or_default();
                (
                    note.field.as_deref().unwrap_or_default(),
                    figure("asked"),
                    figure("used"),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("batch_size", "4", "1"),
                ("duration", "auto", "1:30"),
                ("offload_dit_to_cpu", "off", "on"),
                ("quantization", "none", "int4"),
                ("init_llm", "lm", "none"),
            ],
            "and nothing of what was on already"
        );
        assert!(notes.iter().all(|note| note.code == "lowered_to_fit"));
        assert_eq!(resolved.lm(), None);
        assert_eq!(options.quantization, Quantization::Int4);
        assert!(options.offload_to_cpu && options.offload_dit_to_cpu);
    }

    #[test]
    fn a_run_is_lowered_until_it_fits_and_refused_where_nothing_is_enough() {
        let checkpoint = Checkpoint::open(Path::new(""), DEMO_MODEL).unwrap();
        let mut resolved = Resolved {
            config_path: DEMO_MODEL.to_owned(),
            use_flash_attention: true,
            ..Resolved::default()
        };
        let mut memory = Memory::new(&checkpoint, Path::new(""), &resolved).unwrap();
        let asked = |batch_size| GenerationParams {
            duration_secs: Some(600.0),
            batch_size,
            ..GenerationParams::default()
        };
        let mut fitted = |batch_size, memory: &mut Memory| {
            let mut params = asked(batch_size);
            let notes = memory.fit(&checkpoint, &mut resolved, &mut params);
            (params, notes)
        };
        let needed = |memory: &Memory, batch_size| {
            let plan = memory.plan(&asked(batch_size));
            plan.expected_peak_bytes.host
        };
        memory.free.host = needed(&memory, 4);
        assert_eq!(
            fitted(4, &mut memory),
            (asked(4), vec![]),
            "it fits as it is"
        );

        memory.free.host = needed(&memory, 1);
        let (params, notes) = fitted(4, &mut memory);
        assert_eq!(params, asked(1));
        let told: Vec<_> = notes.iter().map(|note| note.field.as_deref()).collect();
        assert_eq!(told, [Some("batch_size")]);
        assert!(memory.admit(&params).is_ok());

        memory.free.host = 1;
        assert_eq!(fitted(4, &mut memory), (asked(4), vec![]));
        assert!(memory.admit(&asked(4)).is_err());
    }

    #[test]
    fn on_the_processor_only_what_is_said_beside_it_moves() {
        let on_card = Resolved {
            device: DeviceKind::Cuda,
            offload_to_cpu: true,
            offload_dit_to_cpu: true,
            ..Resolved::default()
        };
        let mut resolved = on_card.clone();
        let (options, notes) = lowered(&[("device", json!("cpu"))], &mut resolved);
        assert_eq!(
            notes[0].message,
            "Device: asked cuda, using cpu, so that it fits into the memory."
        );
        assert_eq!(resolved.device, DeviceKind::Cpu);
        assert!(!options.offload_to_cpu && !options.offload_dit_to_cpu);

        let mut resolved = on_card;
        let both = [("device", json!("cpu")), ("offload_to_cpu", json!(true))];
        assert!(lowered(&both, &mut resolved).0.offload_to_cpu);
    }
}
