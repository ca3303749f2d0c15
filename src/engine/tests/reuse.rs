//! Steps and tiles use the buffers of those before them: the system is not asked for memory again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(all(feature = "demo-model", target_os = "linux"))]

use std::sync::Mutex;

use acestep_domain::{GenerationParams, event::Stage};
use acestep_engine::{
    checkpoint::Checkpoint,
    demo,
    engine::{Engine, LoadOptions, Request},
    memory::HugePages,
    observer::Observer,
};

#[path = "support/demo_folder.rs"]
mod demo_folder;

#[global_allocator]
static HUGE_PAGES: HugePages = HugePages;

/// What was mapped when a step or tile was done.
#[derive(Default)]
struct Watch(Mutex<Vec<(Stage, usize)>>);

impl Observer for Watch {
    fn progress(&self, stage: Stage, _: usize, _: usize, _: usize) {
        self.0.lock().unwrap().push((stage, HugePages::mapped()));
    }

    fn cancelled(&self) -> bool {
        false
    }
}

impl Watch {
    fn of(&self, stage: Stage) -> Vec<usize> {
        let seen = self.0.lock().unwrap();
        let of_stage = seen.iter().filter(|(of, _)| *of == stage);
        of_stage.map(|(_, mapped)| *mapped).collect()
    }
}

#[test]
fn later_steps_map_no_memory_and_later_tiles_room_for_their_sound() {
    /// Which threads take part in an operation is chance, and each has buffers of its own.
    const CHANCE: usize = 4;
    let root = tempfile::tempdir().unwrap();
    demo_folder::write(root.path());
    let checkpoint = Checkpoint::open(root.path(), demo::NAME).unwrap();
    let watch = Watch::default();
    let mut engine = Engine::load(&checkpoint, &LoadOptions::default(), &watch).unwrap();
    let request = Request {
        params: GenerationParams {
            caption: "a lofi track with piano and drums".to_owned(),
            duration_secs: Some(180.0),
            inference_steps: 12,
            ..GenerationParams::default()
        },
        seeds: vec![7],
        ..Request::default()
    };
    engine.generate(&request, &watch, &mut |_| Ok(())).unwrap();
    let later = |mapped: &[usize]| mapped[mapped.len() - 1] - mapped[1];
    let steps = watch.of(Stage::Diffusion);
    assert!(steps.len() > 10 && steps[0] > CHANCE, "{steps:?}");
    assert!(later(&steps) <= CHANCE, "{steps:?}");
    let tiles = watch.of(Stage::Decode);
    assert!(tiles.len() > 6, "{tiles:?}");
    // A tile's sound stays.
    assert!(later(&tiles) <= tiles.len() + CHANCE, "{tiles:?}");
}
