//! Proves from cargo's own dependency tree that arrows point downward only.

use crate::shell::{Workspace, stdout};
use anyhow::{Result, bail};

/// A crate as it is built, and what must not be reachable from it.
struct Layer {
    package: &'static str,
    build: &'static [&'static str],
    forbidden: &'static [&'static str],
}

/// `acestep-app` stands twice: in the browser it may not even see the studio.
const LAYERS: [Layer; 5] = [
    Layer {
        package: "acestep-domain",
        build: &["--all-features"],
        forbidden: &[
            "tokio",
            "candle-core",
            "leptos",
            "axum",
            "rusqlite",
            "acestep-engine",
            "acestep-studio",
        ],
    },
    Layer {
        package: "acestep-engine",
        build: &[],
        forbidden: &[
            "tokio",
            "axum",
            "leptos",
            "rusqlite",
            "ureq",
            "acestep-studio",
            "acestep-app",
        ],
    },
    Layer {
        package: "acestep-studio",
        build: &[],
        forbidden: &["axum", "leptos", "acestep-app"],
    },
    Layer {
        package: "acestep-app",
        build: &[
            "--no-default-features",
            "--features",
            "hydrate",
            "--target",
            crate::setup::WASM_TARGET,
        ],
        forbidden: &[
            "axum",
            "tokio",
            "candle-core",
            "rusqlite",
            "acestep-engine",
            "acestep-studio",
        ],
    },
    Layer {
        package: "acestep-app",
        build: &["--no-default-features", "--features", "ssr"],
        forbidden: &["acestep"],
    },
];

/// Fails with every forbidden edge there is.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut broken = Vec::new();
    for layer in &LAYERS {
        let tree = stdout(
            workspace
                .cargo()
                .args([
                    "tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}",
                ])
                .args(["--package", layer.package])
                .args(layer.build),
        )?;
        for name in reached(&tree, layer.forbidden) {
            broken.push(format!(
                "{} {} reaches {name}",
                layer.package,
                layer.build.join(" ")
            ));
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    bail!(
        "dependencies point upward or out of their layer:\n  {}",
        broken.join("\n  ")
    )
}

/// Which of `forbidden` occur in a tree printed as one `name version` a line.
fn reached<'a>(tree: &str, forbidden: &[&'a str]) -> Vec<&'a str> {
    let names: std::collections::BTreeSet<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    forbidden
        .iter()
        .copied()
        .filter(|name| names.contains(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_crate_is_named_and_a_longer_name_is_not() {
        let tree =
            "acestep-app v0.1.0 (/x)\nleptos_meta v0.8.7\ntokio v1.53.0 (*)\naxum-core v0.5.0\n";
        assert_eq!(reached(tree, &["axum", "tokio", "leptos"]), ["tokio"]);
    }
}
