//! Compiles the words in `locales/` into `i18n`, one namespace a file.

use std::{error::Error, path::PathBuf};

use leptos_i18n_build::{Config, ParseOptions, TranslationsInfos, options::CodegenOptions};

#[allow(
    clippy::disallowed_methods,
    reason = "cargo hands its folder over by the environment"
)]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=locales");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?).join("i18n");
    let config = Config::new("en")?
        .add_locales(["zh", "ja", "he"])?
        .add_namespaces([
            "common", "frame", "params", "generate", "tasks", "lm", "service", "library", "heard",
            "loras", "takes", "compare", "needs", "notes",
        ])?
        .parse_options(ParseOptions::new().interpolate_display(true));
    let words = TranslationsInfos::parse(config)?;
    words.rerun_if_locales_changed();
    words.generate_i18n_module_with_options(out, CodegenOptions::new().gen_docs(false))?;
    Ok(())
}
