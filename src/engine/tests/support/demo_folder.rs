//! The bundled model as files of a folder, where it is a checkpoint like any other.

use std::{fs, path::Path};

use acestep_engine::demo;

/// Writes every file of the bundled model below `root`.
pub(crate) fn write(root: &Path) {
    for (name, bytes) in demo::FILES {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}
