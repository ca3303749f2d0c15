//! A checkpoint with a hole, told to a user who wants to know more.

use super::*;

#[test]
fn a_missing_tensor_is_one_sentence_with_and_without_backtraces() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("models");
    sung::write(&root);
    let path = root.join(sung::NAME).join("model.safetensors");
    let mut tensors = safetensors::load(&path, &Device::Cpu).unwrap();
    let name = "decoder.layers.0.self_attn.q_norm.weight";
    let gone = tensors.remove(name).unwrap();
    let told = |words: &[&str], backtrace: &str| {
        let mut command = program(folder.path());
        command.env("RUST_BACKTRACE", backtrace).args(words);
        let output = with_input(&mut command, "{\"caption\": \"x\", \"duration\": 1}");
        assert_eq!(output.status.code(), Some(1));
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            stderr(&output)
        )
    };
    let inspect = ["inspect", "models", "--json"];
    let generate = [
        "generate",
        "--params",
        "-",
        "--checkpoints",
        "models",
        "--json",
        "--output",
        "a.wav",
    ];
    // Gone, and in another shape.
    for damage in [None, Some(gone.narrow(0, 0, 3).unwrap())] {
        tensors.remove(name);
        if let Some(other) = damage {
            tensors.insert(name.to_owned(), other);
        }
        safetensors::save(&tensors, &path).unwrap();
        for words in [&inspect[..], &generate] {
            let text = told(words, "1");
            assert!(text.contains("q_norm.weight"), "{text}");
            assert!(!text.contains("candle_core::"), "{text}");
            assert_eq!(text, told(words, "0"));
        }
    }
}

#[test]
fn what_is_wrong_with_a_release_is_fetched_and_not_called_here() {
    const RELEASE: &str = "acestep-v15-turbo";
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("checkpoints");
    sung::write(&root);
    std::fs::rename(root.join(sung::NAME), root.join(RELEASE)).unwrap();
    // Nobody listens there, so it is seen whether anybody was asked.
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let download = || {
        let mut command = program(folder.path());
        command
            .env("HF_ENDPOINT", &nobody)
            .env("MODELSCOPE_DOMAIN", &nobody)
            .args(["download", RELEASE]);
        with_input(&mut command, "")
    };
    let whole = download();
    assert!(whole.status.success(), "{}", stderr(&whole));
    assert!(stderr(&whole).contains("is here already"));

    let path = root.join(RELEASE).join("model.safetensors");
    let mut tensors = safetensors::load(&path, &Device::Cpu).unwrap();
    tensors.remove("decoder.layers.0.self_attn.q_norm.weight");
    safetensors::save(&tensors, &path).unwrap();
    let damaged = download();
    assert_eq!(damaged.status.code(), Some(1), "{}", stderr(&damaged));
    assert!(
        stderr(&damaged).contains("127.0.0.1"),
        "{}",
        stderr(&damaged)
    );
}
