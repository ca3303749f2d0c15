//! The page's stylesheet, from SCSS.

use crate::shell::Workspace;
use anyhow::{Result, anyhow};

/// Compiles `style/main.scss`.
pub(crate) fn build(workspace: &Workspace, release: bool) -> Result<Vec<u8>> {
    let style = if release {
        grass::OutputStyle::Compressed
    } else {
        grass::OutputStyle::Expanded
    };
    let options = grass::Options::default().style(style);
    // grass's error carries the file, the line and the text of it.
    grass::from_path(workspace.root.join("style/main.scss"), &options)
        .map(String::into_bytes)
        .map_err(|error| anyhow!("{error}"))
}

#[cfg(test)]
mod tests {
    use crate::shell::Workspace;
    use anyhow::Result;
    use std::{fs, path::PathBuf};

    fn files() -> Result<Vec<(PathBuf, String)>> {
        let style = Workspace::find()?.root.join("style");
        let mut files = vec![(
            style.join("_base.scss"),
            fs::read_to_string(style.join("_base.scss"))?,
        )];
        for item in fs::read_dir(style.join("components"))? {
            let path = item?.path();
            let text = fs::read_to_string(&path)?;
            files.push((path, text));
        }
        Ok(files)
    }

    #[test]
    fn every_block_reaches_the_stylesheet() -> Result<()> {
        let workspace = Workspace::find()?;
        let main = fs::read_to_string(workspace.root.join("style/main.scss"))?;
        for (path, _) in files()? {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let name = name.trim_start_matches('_');
            assert!(
                main.contains(&format!("{name}\";")),
                "{name} is not used by main.scss"
            );
        }
        let css = String::from_utf8(super::build(&workspace, true)?)?;
        for part in [
            "[data-theme=dark]",
            ".readout__value",
            ".segmented__input:checked",
            "@media (max-width: 767px)",
        ] {
            assert!(css.contains(part), "{part} is not in the stylesheet");
        }
        Ok(())
    }

    #[test]
    fn colours_stand_in_the_tokens_only_and_nothing_is_important() -> Result<()> {
        for (path, text) in files()? {
            for line in text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
            {
                let hex = line
                    .split('#')
                    .skip(1)
                    .any(|rest| rest.starts_with(|c: char| c.is_ascii_hexdigit()));
                assert!(!hex && !line.contains("rgb("), "{}: {line}", path.display());
                assert!(!line.contains("!important"), "{}: {line}", path.display());
            }
        }
        Ok(())
    }

    #[test]
    fn boxes_follow_the_direction_of_the_text_where_it_is_not_time_they_show() -> Result<()> {
        // Waves, regions and their marks run left to right in every language.
        for (path, text) in files()? {
            let time = path.ends_with("_wave.scss") || path.ends_with("_region.scss");
            for line in text.lines().map(str::trim) {
                let physical = [
                    "left:",
                    "right:",
                    "margin-left:",
                    "margin-right:",
                    "padding-left:",
                    "padding-right:",
                ];
                assert!(
                    time || !physical.iter().any(|start| line.starts_with(start)),
                    "{}: {line}",
                    path.display()
                );
            }
        }
        Ok(())
    }
}
