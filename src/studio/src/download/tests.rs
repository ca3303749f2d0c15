//! Downloads from a hub on this machine: what is there afterwards, whatever happens in between.

mod hub;

use std::{
    fs,
    sync::{Arc, mpsc},
    time::Duration,
};

use acestep_domain::release::{Download, DownloadState, Hub as Source, Release};
use tempfile::TempDir;

use self::hub::{Faults, Hub};
use super::{
    DownloadOptions, Downloads, Endpoints, Error, Watch, download, downloadable, list::Kept,
    order::staging,
};

const LM: &str = "acestep-5Hz-lm-0.6B";
const IN_LM: &str = "ACE-Step/acestep-5Hz-lm-0.6B";
const MAIN: &str = "ACE-Step/Ace-Step1.5";

fn weights() -> Vec<u8> {
    (0..400_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// A hub with a language model and, in the main repository, a main model and its parts.
fn hub() -> Hub {
    let weights = weights();
    let lm = |name: &str| format!("{IN_LM}/{name}");
    let main = |name: &str| format!("{MAIN}/{name}");
    let files: Vec<(String, &[u8])> = vec![
        (lm("config.json"), b"{}"),
        (lm("model.safetensors"), &weights),
        (lm("modeling.py"), b"import os"),
        (lm("tokenizer.json"), b"{\"model\":{}}"),
        (
            main("acestep-v15-turbo/config.json"),
            b"{\"is_turbo\":true}",
        ),
        (main("acestep-v15-turbo/model.safetensors"), &weights),
        (main("acestep-v15-turbo/silence_latent.pt"), b"silence"),
        (
            main("Qwen3-Embedding-0.6B/model.safetensors"),
            &weights[..9000],
        ),
        (
            main("vae/diffusion_pytorch_model.safetensors"),
            &weights[..5000],
        ),
        (main("README.md"), b"# ACE-Step"),
    ];
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(key, bytes)| (key.as_str(), *bytes))
        .collect();
    Hub::with(&files)
}

/// A place where nobody listens.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn options(huggingface: &str, modelscope: &str) -> DownloadOptions {
    DownloadOptions {
        source: None,
        endpoints: Endpoints {
            huggingface: huggingface.to_owned(),
            modelscope: modelscope.to_owned(),
        },
        pause: Duration::from_millis(1),
    }
}

/// Writes down what it is told.
#[derive(Default)]
struct Told {
    source: Option<Source>,
    total: u64,
    files: Vec<String>,
    most: u64,
}

impl Watch for Told {
    fn begins(&mut self, source: Source, total_bytes: u64) {
        (self.source, self.total) = (Some(source), total_bytes);
    }
    fn file(&mut self, label: &str) {
        self.files.push(label.to_owned());
    }
    fn bytes(&mut self, done: u64) {
        assert!(done <= self.total, "{done} of {}", self.total);
        self.most = self.most.max(done);
    }
    fn goes_on(&self) -> bool {
        true
    }
    fn wait(&self, time: Duration) -> bool {
        std::thread::sleep(time);
        true
    }
}

fn fetch(root: &TempDir, name: &str, options: &DownloadOptions) -> Result<Told, Error> {
    let mut told = Told::default();
    download(
        root.path(),
        Release::find(name).unwrap(),
        options,
        &mut told,
    )?;
    Ok(told)
}

/// Names of all files below the checkpoints folder, hidden ones included.
fn there(root: &TempDir) -> Vec<String> {
    fn below(folder: &std::path::Path, root: &std::path::Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                below(&path, root, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    below(root.path(), root.path(), &mut found);
    found.sort();
    found
}

#[test]
fn a_release_arrives_whole_and_without_what_nobody_reads() {
    let (hub, root) = (hub(), TempDir::new().unwrap());
    let told = fetch(&root, LM, &options(&hub.url, &nowhere())).unwrap();
    assert_eq!(told.source, Some(Source::HuggingFace));
    assert_eq!(told.most, told.total);
    assert_eq!(
        there(&root),
        ["config.json", "model.safetensors", "tokenizer.json"].map(|file| format!("{LM}/{file}"))
    );
    let arrived = fs::read(root.path().join(LM).join("model.safetensors")).unwrap();
    assert_eq!(arrived, weights());
}

#[test]
fn a_main_model_brings_what_it_needs_and_leaves_what_is_there() {
    let (hub, root) = (hub(), TempDir::new().unwrap());
    let told = fetch(&root, "acestep-v15-turbo", &options(&hub.url, &nowhere())).unwrap();
    assert_eq!(told.files.len(), 5, "{:?}", told.files);
    assert!(
        root.path()
            .join("vae/diffusion_pytorch_model.safetensors")
            .is_file()
    );
    // Once more: the files are what the hub lists, so nothing comes.
    let again = fetch(&root, "acestep-v15-turbo", &options(&hub.url, &nowhere())).unwrap();
    assert_eq!((again.total, again.files.len()), (0, 0));
    // A file that was changed is fetched, the others are not.
    fs::write(
        root.path().join("acestep-v15-turbo/silence_latent.pt"),
        b"silencE",
    )
    .unwrap();
    let mended = fetch(&root, "acestep-v15-turbo", &options(&hub.url, &nowhere())).unwrap();
    assert_eq!(mended.files, ["acestep-v15-turbo/silence_latent.pt"]);
}

#[test]
fn modelscope_gives_the_same_when_huggingface_is_away() {
    let (hub, root) = (hub(), TempDir::new().unwrap());
    let told = fetch(&root, LM, &options(&nowhere(), &hub.url)).unwrap();
    assert_eq!(told.source, Some(Source::ModelScope));
    assert!(root.path().join(LM).join("model.safetensors").is_file());
    let in_main = fetch(&root, "acestep-v15-turbo", &options(&nowhere(), &hub.url)).unwrap();
    assert_eq!(in_main.most, in_main.total);

    let error = fetch(&root, "acestep-5Hz-lm-4B", &options(&nowhere(), &nowhere()))
        .err()
        .unwrap();
    let told = acestep_domain::UserError::from(error);
    assert_eq!(told.code, "download");
    assert!(told.message.contains(" and 127.0.0.1"), "{told}");
    assert!(told.hint.contains("Check the connection"), "{told}");
}

#[test]
fn a_transfer_that_breaks_off_goes_on_where_it_was() {
    let (hub, root) = (hub(), TempDir::new().unwrap());
    hub.fail(Faults {
        cut: (3, 30_000),
        ..Faults::default()
    });
    fetch(&root, LM, &options(&hub.url, &nowhere())).unwrap();
    assert_eq!(
        fs::read(root.path().join(LM).join("model.safetensors")).unwrap(),
        weights()
    );
    let asked = hub.seen("cdn/ACE-Step/acestep-5Hz-lm-0.6B/model.safetensors");
    let begins = |line: &String| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    let begins: Vec<u64> = asked.iter().map(begins).collect();
    assert_eq!(begins, [0, 30_000, 60_000, 90_000]);
}

#[test]
fn a_hub_without_ranges_gives_the_file_from_its_beginning() {
    let (hub, root) = (hub(), TempDir::new().unwrap());
    hub.fail(Faults {
        cut: (1, 30_000),
        no_ranges: true,
        ..Faults::default()
    });
    fetch(&root, LM, &options(&hub.url, &nowhere())).unwrap();
    assert_eq!(
        fs::read(root.path().join(LM).join("model.safetensors")).unwrap(),
        weights()
    );
}

#[test]
fn a_transfer_that_never_comes_is_given_up_and_taken_up_later() {
    let (hub, root) = (hub(), TempDir::new().unwrap());
    hub.fail(Faults {
        cut: (usize::MAX, 0),
        ..Faults::default()
    });
    let error = fetch(&root, LM, &options(&hub.url, &nowhere()))
        .err()
        .unwrap();
    assert!(matches!(error, Error::Broken { .. }), "{error:?}");
    assert!(
        !root.path().join(LM).exists(),
        "nothing half there among the checkpoints"
    );
    hub.fail(Faults::default());
    fetch(&root, LM, &options(&hub.url, &nowhere())).unwrap();
    assert!(root.path().join(LM).join("config.json").is_file());
}

#[test]
fn bytes_that_are_not_what_the_hub_lists_are_thrown_away() {
    let hub = hub();
    for file in ["config.json", "model.safetensors"] {
        let root = TempDir::new().unwrap();
        hub.fail(Faults {
            wrong: Some(format!("{IN_LM}/{file}")),
            ..Faults::default()
        });
        let error = fetch(&root, LM, &options(&hub.url, &nowhere()))
            .err()
            .unwrap();
        let damaged = format!("{LM}/{file}");
        assert!(
            matches!(&error, Error::Damaged { file } if *file == damaged),
            "{error:?}"
        );
        assert!(!root.path().join(LM).exists());
        hub.fail(Faults::default());
        fetch(&root, LM, &options(&hub.url, &nowhere())).unwrap();
        assert_eq!(there(&root).len(), 3);
    }
}

#[test]
fn a_hub_that_says_no_is_told_apart_from_one_that_is_away() {
    let (hub, root) = (hub(), TempDir::new().unwrap());
    let only = DownloadOptions {
        source: Some(Source::HuggingFace),
        ..options(&hub.url, &nowhere())
    };
    let status = |status| Faults {
        status: Some(status),
        ..Faults::default()
    };
    hub.fail(status(503));
    let error = fetch(&root, LM, &only).err().unwrap();
    assert!(
        matches!(error, Error::Refused { status: 503, .. }),
        "{error:?}"
    );
    hub.fail(Faults::default());
    let error = fetch(&root, "acestep-v15-sft", &only).err().unwrap();
    assert!(matches!(error, Error::NotThere { .. }), "{error:?}");
}

#[test]
fn two_programs_do_not_write_one_file() {
    let (hub, root) = (hub(), TempDir::new().unwrap());
    let staging = staging(root.path(), LM);
    fs::create_dir_all(&staging).unwrap();
    let held = fs::File::create(staging.join(".lock")).unwrap();
    held.try_lock().unwrap();
    let error = fetch(&root, LM, &options(&hub.url, &nowhere()))
        .err()
        .unwrap();
    assert!(matches!(error, Error::InUse), "{error:?}");
}

#[test]
fn what_can_be_downloaded_is_what_is_not_there_or_not_whole() {
    let root = TempDir::new().unwrap();
    let turbo = |list: &[acestep_domain::release::Downloadable]| {
        list.iter()
            .find(|entry| entry.name == "acestep-v15-turbo")
            .cloned()
    };
    let all = downloadable(root.path());
    assert_eq!(all.len(), 12);
    let entry = turbo(&all).unwrap();
    assert!(!entry.damaged);
    assert!(
        entry.bytes > 6_000_000_000,
        "with its parts: {}",
        entry.bytes
    );
    // A folder with something wrong in it.
    fs::create_dir_all(root.path().join("acestep-v15-turbo")).unwrap();
    assert!(turbo(&downloadable(root.path())).unwrap().damaged);
}

/// The list with its thread.
struct List {
    downloads: Arc<Downloads>,
    changes: mpsc::Receiver<bool>,
}

impl List {
    fn open(root: &TempDir, options: DownloadOptions) -> Self {
        let downloads = Arc::new(Downloads::open(root.path().to_owned(), options));
        let (tell, changes) = mpsc::channel();
        let own = Arc::clone(&downloads);
        std::thread::spawn(move || own.run(&|arrived| tell.send(arrived).unwrap_or_default()));
        Self { downloads, changes }
    }

    fn shown(&self) -> Download {
        self.downloads.list().into_iter().next().unwrap_or_default()
    }

    /// Waits until the list is as wanted.
    fn until(&self, wanted: impl Fn(&Download) -> bool) -> Download {
        for _ in 0..1000 {
            let shown = self.shown();
            if wanted(&shown) {
                return shown;
            }
            self.changes.recv_timeout(Duration::from_millis(20)).ok();
        }
        panic!("{:?}", self.shown());
    }
}

impl Drop for List {
    fn drop(&mut self) {
        self.downloads.stop();
    }
}

/// A list whose download of the language model stops in its middle until the gate is dropped.
fn held(hub: &Hub, root: &TempDir) -> (List, mpsc::Sender<()>) {
    let (open, gate) = mpsc::channel();
    hub.fail(Faults {
        gate: Some((120_000, gate)),
        ..Faults::default()
    });
    let list = List::open(root, options(&hub.url, &nowhere()));
    list.downloads.start(LM, None).unwrap();
    (list, open)
}

fn in_state(state: DownloadState) -> impl Fn(&Download) -> bool {
    move |shown| shown.state == state
}

#[test]
fn a_paused_download_outlives_a_restart_and_resumes() {
    let (hub, root) = (hub(), TempDir::new().unwrap());
    let (list, open) = held(&hub, &root);
    let running = list.until(|shown| shown.done_bytes >= 120_000);
    assert_eq!(running.state, DownloadState::Running);
    assert_eq!(
        running.file.as_deref(),
        Some("acestep-5Hz-lm-0.6B/model.safetensors")
    );
    assert_eq!(
        list.downloads.pause(LM).unwrap().state,
        DownloadState::Paused
    );
    drop(open);
    // The thread lets go of the file when it has written what it was reading.
    while !Kept::read(&staging(root.path(), LM)).paused {
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(list);

    let list = List::open(&root, options(&hub.url, &nowhere()));
    let kept = list.shown();
    assert_eq!(kept.state, DownloadState::Paused);
    assert!(kept.done_bytes >= 120_000, "{kept:?}");
    assert!(kept.fraction().unwrap() > 0.05);
    list.downloads.start(LM, None).unwrap();
    list.until(in_state(DownloadState::Done));
    assert_eq!(
        fs::read(root.path().join(LM).join("model.safetensors")).unwrap(),
        weights()
    );
    let asked = hub.seen("cdn/ACE-Step/acestep-5Hz-lm-0.6B/model.safetensors");
    assert!(!asked.last().unwrap().ends_with("from 0"), "{asked:?}");
}

#[test]
fn a_download_that_the_programs_end_cut_off_goes_on_by_itself() {
    let (hub, root) = (hub(), TempDir::new().unwrap());
    let (list, open) = held(&hub, &root);
    list.until(|shown| shown.done_bytes >= 120_000);
    list.downloads.stop();
    drop(open);
    // Its lock tells when the thread has let go.
    let lock = staging(root.path(), LM).join(".lock");
    while fs::File::open(&lock).unwrap().try_lock().is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(list);
    let list = List::open(&root, options(&hub.url, &nowhere()));
    list.until(in_state(DownloadState::Done));
    assert!(root.path().join(LM).join("config.json").is_file());
}

#[test]
fn one_that_waits_is_paused_over_a_restart_too() {
    let (hub, root) = (hub(), TempDir::new().unwrap());
    let (list, open) = held(&hub, &root);
    list.until(|shown| shown.done_bytes >= 120_000);
    list.downloads.start("acestep-v15-turbo", None).unwrap();
    let waiting = list.downloads.list().pop().unwrap();
    assert_eq!(waiting.state, DownloadState::Waiting);
    list.downloads.pause("acestep-v15-turbo").unwrap();
    list.downloads.stop();
    drop(open);
    let list = List::open(&root, options(&nowhere(), &nowhere()));
    let downloads = list.downloads.list();
    let turbo = downloads
        .iter()
        .find(|entry| entry.name == "acestep-v15-turbo");
    assert_eq!(turbo.unwrap().state, DownloadState::Paused);
}

#[test]
fn a_failed_download_says_why_and_can_be_tried_again() {
    let (hub, root) = (hub(), TempDir::new().unwrap());
    hub.fail(Faults {
        wrong: Some(format!("{IN_LM}/tokenizer.json")),
        ..Faults::default()
    });
    let list = List::open(&root, options(&hub.url, &nowhere()));
    list.downloads.start(LM, None).unwrap();
    let failed = list.until(in_state(DownloadState::Failed));
    let error = failed.error.unwrap();
    assert_eq!(error.code, "download");
    assert!(error.message.contains("tokenizer.json"), "{error}");
    hub.fail(Faults::default());
    list.downloads.start(LM, None).unwrap();
    let done = list.until(in_state(DownloadState::Done));
    assert_eq!(done.error, None);
    // The large file was whole and was not fetched twice.
    assert_eq!(
        hub.seen("cdn/ACE-Step/acestep-5Hz-lm-0.6B/model.safetensors")
            .len(),
        1
    );
}

#[test]
fn a_removed_download_leaves_nothing() {
    let (hub, root) = (hub(), TempDir::new().unwrap());
    let (list, open) = held(&hub, &root);
    list.until(|shown| shown.done_bytes >= 120_000);
    list.downloads.remove(LM).unwrap();
    drop(open);
    list.until(|shown| shown.name.is_empty());
    assert_eq!(there(&root), [""; 0]);
    assert!(list.downloads.remove(LM).is_err());
}

#[test]
fn one_whose_files_cannot_be_removed_stays_in_the_list() {
    let root = TempDir::new().unwrap();
    let downloads = Downloads::open(root.path().to_owned(), options(&nowhere(), &nowhere()));
    downloads.start(LM, None).unwrap();
    downloads.pause(LM).unwrap();
    // A file in place of the folder is none that could be removed as one.
    let folder = staging(root.path(), LM);
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "x").unwrap();
    let told = acestep_domain::UserError::from(downloads.remove(LM).unwrap_err());
    assert_eq!(told.code, "storage");
    assert_eq!(downloads.list()[0].state, DownloadState::Paused);
    fs::remove_file(&folder).unwrap();
    downloads.remove(LM).unwrap();
    assert_eq!(downloads.list(), []);
}

#[test]
fn only_releases_can_be_asked_for() {
    let root = TempDir::new().unwrap();
    let list = List::open(&root, options(&nowhere(), &nowhere()));
    for name in ["acestep-v15-demo", "vae", "../x", ""] {
        let error = list.downloads.start(name, None).unwrap_err();
        let told = acestep_domain::UserError::from(error);
        assert_eq!(told.field.as_deref(), Some("name"), "{name}");
        assert!(
            told.hint.contains("acestep-v15-turbo, acestep-v15-base"),
            "{told}"
        );
    }
}
