//! Takes out of a wasm module what the browser need not load.

use anyhow::{Context, Result};
use std::ops::Range;
use wasmparser::{
    BinaryReader, CodeSectionReader, ImportSectionReader, Name, NameSectionReader,
    RelocSectionReader, TypeRef,
};

/// Bytes of a module before its first section.
const HEAD: usize = 8;
/// Kinds of sections.
const CUSTOM: u8 = 0;
const IMPORT: u8 = 2;
const CODE: u8 = 10;
/// Instructions of a function that is never called: a trap, room, the end.
const UNREACHABLE: u8 = 0x00;
const NOP: u8 = 0x01;
const END: u8 = 0x0b;

/// A module without its custom sections, which hold the names of functions.
pub(crate) fn without_names(module: &[u8]) -> Result<Vec<u8>> {
    let mut kept = head(module)?.to_vec();
    for section in sections(module)? {
        if section.kind != CUSTOM {
            append(&mut kept, section.kind, section.content);
        }
    }
    Ok(kept)
}

/// A linked module in which the functions whose symbol is `dead` do nothing but trap, so that what only they need
/// falls to whatever collects what nobody needs. The module needs names, and the relocations of its code.
pub(crate) fn without_bodies(module: &[u8], dead: impl Fn(&str) -> bool) -> Result<Vec<u8>> {
    let sections = sections(module)?;
    let mut imported = 0;
    let mut bodies = Vec::new();
    let mut named = Vec::new();
    for section in &sections {
        let reader = || BinaryReader::new(section.content, 0);
        match (section.kind, section.name()) {
            (IMPORT, _) => {
                for import in ImportSectionReader::new(reader())?.into_imports() {
                    imported += usize::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            (CODE, _) => {
                for body in CodeSectionReader::new(reader())? {
                    let range = body?.range();
                    bodies.push(usize::try_from(range.start)?..usize::try_from(range.end)?);
                }
            }
            (CUSTOM, Some(("name", content))) => {
                for part in NameSectionReader::new(BinaryReader::new(content, 0)) {
                    if let Name::Function(functions) = part? {
                        for function in functions {
                            let function = function?;
                            if dead(function.name) {
                                named.push(function.index as usize);
                            }
                        }
                    }
                }
            }
            _ => {}
        }
    }
    named.sort_unstable();
    let dead: Vec<Range<usize>> = named
        .iter()
        .filter_map(|index| bodies.get(index.checked_sub(imported)?).cloned())
        .collect();

    let mut kept = head(module)?.to_vec();
    for section in sections {
        match (section.kind, section.name()) {
            (CODE, _) => append(&mut kept, CODE, &silenced(section.content, &dead)?),
            (CUSTOM, Some(("reloc.CODE", content))) => {
                append(&mut kept, CUSTOM, &without_addresses(content, &dead)?);
            }
            _ => append(&mut kept, section.kind, section.content),
        }
    }
    Ok(kept)
}

/// The code with the bodies at `dead` replaced by a trap of the same length, so that all else keeps its place.
fn silenced(code: &[u8], dead: &[Range<usize>]) -> Result<Vec<u8>> {
    let mut code = code.to_vec();
    for range in dead {
        let body = code
            .get_mut(range.clone())
            .context("a function lies outside of its section")?;
        body.fill(NOP);
        if let [locals, trap, .., end] = body {
            (*locals, *trap, *end) = (0, UNREACHABLE, END);
        }
    }
    Ok(code)
}

/// The section `reloc.CODE` without what lies at `dead`: an address that is no more there would be written over
/// what took its place.
fn without_addresses(content: &[u8], dead: &[Range<usize>]) -> Result<Vec<u8>> {
    let reader = RelocSectionReader::new(BinaryReader::new(content, 0))?;
    let target = reader.section_index();
    let mut entries = Vec::new();
    for entry in reader.entries().into_iter_with_offsets() {
        let (start, entry) = entry?;
        let at = entry.offset as usize;
        let next = dead.partition_point(|range| range.end <= at);
        let is_dead = dead.get(next).is_some_and(|range| range.contains(&at));
        entries.push((usize::try_from(start)?, is_dead));
    }
    let ends = entries.iter().skip(1).map(|(start, _)| *start);
    let ends: Vec<usize> = ends.chain([content.len()]).collect();
    let living = || {
        entries
            .iter()
            .zip(&ends)
            .filter(|((_, is_dead), _)| !is_dead)
    };
    let mut kept = Vec::new();
    let name = "reloc.CODE";
    number(&mut kept, name.len());
    kept.extend_from_slice(name.as_bytes());
    number(&mut kept, target as usize);
    number(&mut kept, living().count());
    for ((start, _), end) in living() {
        kept.extend_from_slice(content.get(*start..*end).context("an address is cut off")?);
    }
    Ok(kept)
}

struct Section<'a> {
    kind: u8,
    content: &'a [u8],
}

impl<'a> Section<'a> {
    /// Name and content of a custom section.
    fn name(&self) -> Option<(&'a str, &'a [u8])> {
        if self.kind != CUSTOM {
            return None;
        }
        let mut reader = BinaryReader::new(self.content, 0);
        let name = reader.read_string().ok()?;
        let at = usize::try_from(reader.original_position()).ok()?;
        Some((name, self.content.get(at..)?))
    }
}

fn head(module: &[u8]) -> Result<&[u8]> {
    module.get(..HEAD).context("a module has a head")
}

fn sections(module: &[u8]) -> Result<Vec<Section<'_>>> {
    let mut rest = module.get(HEAD..).context("a module has a head")?;
    let mut sections = Vec::new();
    while !rest.is_empty() {
        let mut reader = BinaryReader::new(rest, 0);
        let kind = reader.read_u8()?;
        let length = reader.read_var_u32()? as usize;
        let start = usize::try_from(reader.original_position())?;
        let content = rest
            .get(start..start + length)
            .context("a section is cut off")?;
        sections.push(Section { kind, content });
        rest = rest.get(start + length..).unwrap_or_default();
    }
    Ok(sections)
}

fn append(module: &mut Vec<u8>, kind: u8, content: &[u8]) {
    module.push(kind);
    number(module, content.len());
    module.extend_from_slice(content);
}

/// A number as modules have it.
fn number(bytes: &mut Vec<u8>, mut value: usize) {
    loop {
        let digit = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return bytes.push(digit);
        }
        bytes.push(digit | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(sections: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = b"\0asm\x01\0\0\0".to_vec();
        for (kind, content) in sections {
            append(&mut bytes, *kind, content);
        }
        bytes
    }

    #[test]
    fn a_module_keeps_all_but_its_names() -> Result<()> {
        let code = (CODE, &[1, 2, 0, END][..]);
        let named = module(&[(CUSTOM, b"\x04abcd"), code, (CUSTOM, b"\x03abcde")]);
        assert_eq!(without_names(&named)?, module(&[code]));
        assert!(without_names(&named[..named.len() - 1]).is_err());
        assert!(without_names(b"\0asm").is_err());
        Ok(())
    }

    #[test]
    fn a_dead_function_traps_and_the_others_keep_code_and_addresses() -> Result<()> {
        // Two functions, each calls function 0 by an address of five bytes.
        let call = |to: u8| [8, 0, 0x10, 0x80 | to, 0x80, 0x80, 0x80, 0, END];
        let code = [&[2][..], &call(0), &call(0)].concat();
        // Subsection 1: names of the functions 0 and 1.
        let names = b"\x04name\x01\x0d\x02\x00\x04live\x01\x04dead";
        let address = |offset: u8| [0, offset, 0];
        let addresses = |all: &[u8]| {
            let count = [(all.len() / 3) as u8];
            [b"\x0areloc.CODE\x03", &count[..], all].concat()
        };
        let both = addresses(&[address(4), address(13)].concat());
        let linked = module(&[(CODE, &code), (CUSTOM, names), (CUSTOM, &both)]);
        let silent = [8, 0, UNREACHABLE, NOP, NOP, NOP, NOP, NOP, END];
        let code = [&[2][..], &call(0), &silent].concat();
        let one = addresses(&address(4));
        let expected = module(&[(CODE, &code), (CUSTOM, names), (CUSTOM, &one)]);
        assert_eq!(without_bodies(&linked, |name| name == "dead")?, expected);
        assert_eq!(without_bodies(&linked, |_| false)?, linked);
        Ok(())
    }
}
