//! What a compiler cannot leave out of a module, and an order that packs better.

use anyhow::{Result, anyhow};
use std::{collections::HashMap, convert::Infallible};
use walrus::{FunctionBuilder, FunctionKind, ModuleConfig, passes::gc};
use wasm_encoder::{
    CodeSection, DataCountSection, DataSection, ElementSection, ExportSection, FunctionSection,
    GlobalSection, ImportSection, MemorySection, Module, StartSection, TableSection, TypeSection,
    reencode::{Error, Reencode},
};
use wasmparser::{FunctionBody, Parser, Payload, TypeRef};

/// How the names of functions begin and end (before their hash) that nothing calls. Every view carries what would revive
/// it while its program is still loading; the page waits for its program (`app/src/lib.rs`) and revives it at once.
/// Should it be called all the same, it traps, and every browser test fails. Only the way in is named: what it leads to
/// may be one with what is called, for functions alike are merged, and goes where nothing else leads there.
const UNCALLED: &str = "any_view..IntoAny$GT$8into_any13hydrate_async";
const UNCALLED_ENDS: [&str; 2] = ["17h", "28_$u7b$$u7b$closure$u7d$$u7d$17h"];

fn is_uncalled(name: &str) -> bool {
    let end = name.split_once(UNCALLED).map(|(_, end)| end);
    end.is_some_and(|end| UNCALLED_ENDS.iter().any(|own| end.starts_with(own)))
}

/// A module without the bodies of what is never called, and with or without names.
pub(super) fn without_uncalled(module: &[u8], names: bool) -> Result<Vec<u8>> {
    let mut module = ModuleConfig::new()
        .generate_name_section(names)
        .generate_producers_section(false)
        .parse(module)
        .map_err(|error| anyhow!("walrus: {error:#}"))?;
    let uncalled: Vec<_> = module
        .funcs
        .iter_local()
        .map(|(id, _)| id)
        .filter(|id| {
            let name = module.funcs.get(*id).name.as_deref();
            name.is_some_and(is_uncalled)
        })
        .collect();
    for id in uncalled {
        let own = module.types.get(module.funcs.get(id).ty());
        let (takes, gives) = (own.params().to_vec(), own.results().to_vec());
        let arguments = takes.iter().map(|ty| module.locals.add(*ty)).collect();
        let mut function = FunctionBuilder::new(&mut module.types, &takes, &gives);
        function.func_body().unreachable();
        module.funcs.get_mut(id).kind = FunctionKind::Local(function.local_func(arguments));
    }
    gc::run(&mut module);
    Ok(module.emit_wasm())
}

/// A module whose functions stand in the order of their bytes: functions alike stand together, and a fiftieth less has
/// to be sent. What is not code for the program (names, features) is left out.
pub(super) fn sorted(module: &[u8]) -> Result<Vec<u8>> {
    sort(module, &HashMap::new()).map_err(|error| anyhow!("the module cannot be sorted: {error}"))
}

/// The same of a module of wasm-bindgen's and the script it is bound to: what the module takes from the script gets
/// short names in both, for theirs end in a hash, which does not pack.
pub(super) fn bound(module: &[u8], text: &str) -> Result<(Vec<u8>, String)> {
    let mut names = HashMap::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ImportSection(section) = payload? {
            for import in section.into_imports() {
                let name = import?.name;
                if is_hashed(name) && !names.contains_key(name) {
                    names.insert(name, format!("_{}", names.len()));
                }
            }
        }
    }
    let module =
        sort(module, &names).map_err(|error| anyhow!("the module cannot be sorted: {error}"))?;
    let mut text = script(text);
    for (name, short) in names {
        text = text.replace(name, &short);
    }
    Ok((module, text))
}

/// Names that wasm-bindgen gives to what a script lends, for example `__wbg_append_0123456789abcdef`.
fn is_hashed(name: &str) -> bool {
    let hash = name
        .strip_prefix("__wbg_")
        .and_then(|name| name.rsplit_once('_'));
    hash.is_some_and(|(_, hash)| hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// New places of a module's own functions; those of others stand before them.
struct Places {
    others: u32,
    own: Vec<u32>,
}

impl Reencode for Places {
    type Error = Infallible;

    fn function_index(&mut self, index: u32) -> std::result::Result<u32, Error<Infallible>> {
        Ok(match index.checked_sub(self.others) {
            Some(own) => self.others + self.own[own as usize],
            None => index,
        })
    }
}

fn sort(
    module: &[u8],
    names: &HashMap<&str, String>,
) -> std::result::Result<Vec<u8>, Error<Infallible>> {
    let (mut bodies, mut types, mut others) = (Vec::<FunctionBody>::new(), Vec::new(), 0);
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let ty = import?.ty;
                    others += u32::from(matches!(ty, TypeRef::Func(_) | TypeRef::FuncExact(_)));
                }
            }
            Payload::FunctionSection(section) => {
                types = section
                    .into_iter()
                    .collect::<std::result::Result<Vec<_>, _>>()?;
            }
            Payload::CodeSectionEntry(body) => bodies.push(body),
            _ => {}
        }
    }
    let mut order: Vec<usize> = (0..bodies.len()).collect();
    order.sort_by_key(|index| bodies[*index].as_bytes());
    let mut own = vec![0; order.len()];
    for (place, index) in order.iter().enumerate() {
        own[*index] = u32::try_from(place).unwrap_or(u32::MAX);
    }
    let mut places = Places { others, own };
    let mut sorted = Module::new();
    /// Copies a section with the new places in it.
    macro_rules! copy {
        ($kind:ident, $parse:ident, $from:expr) => {{
            let mut section = $kind::new();
            places.$parse(&mut section, $from)?;
            sorted.section(&section);
        }};
    }
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::TypeSection(from) => copy!(TypeSection, parse_type_section, from),
            Payload::ImportSection(from) => {
                let mut section = ImportSection::new();
                for import in from.into_imports() {
                    let import = import?;
                    let name = names.get(import.name).map_or(import.name, String::as_str);
                    section.import(import.module, name, places.entity_type(import.ty)?);
                }
                sorted.section(&section);
            }
            Payload::TableSection(from) => copy!(TableSection, parse_table_section, from),
            Payload::MemorySection(from) => copy!(MemorySection, parse_memory_section, from),
            Payload::GlobalSection(from) => copy!(GlobalSection, parse_global_section, from),
            Payload::ExportSection(from) => copy!(ExportSection, parse_export_section, from),
            Payload::ElementSection(from) => copy!(ElementSection, parse_element_section, from),
            Payload::DataSection(from) => copy!(DataSection, parse_data_section, from),
            Payload::FunctionSection(_) => {
                let mut section = FunctionSection::new();
                for index in &order {
                    section.function(types[*index]);
                }
                sorted.section(&section);
            }
            Payload::StartSection { func, .. } => {
                let function_index = places.function_index(func)?;
                sorted.section(&StartSection { function_index });
            }
            Payload::DataCountSection { count, .. } => {
                sorted.section(&DataCountSection { count });
            }
            Payload::CodeSectionStart { .. } => {
                let mut section = CodeSection::new();
                for index in &order {
                    places.parse_function_body(&mut section, bodies[*index].clone())?;
                }
                sorted.section(&section);
            }
            _ => {}
        }
    }
    Ok(sorted.finish())
}

/// A script of wasm-bindgen's without comments on lines of their own, and without what its lines begin with.
fn script(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut in_comment = false;
    for line in text.lines().map(str::trim) {
        in_comment |= line.starts_with("/*");
        if in_comment {
            in_comment = !line.ends_with("*/");
        } else if !line.is_empty() && !line.starts_with("//") {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{
        ConstExpr, Elements, EntityType, ExportKind, Function, RefType, TableType, ValType,
    };

    /// Exports `call`, which calls the second function of two by its number; the table holds both.
    fn module() -> Vec<u8> {
        let mut module = Module::new();
        let mut types = TypeSection::new();
        types.ty().function([], [ValType::I32]);
        module.section(&types);
        let mut imports = ImportSection::new();
        imports.import("a", "b", EntityType::Function(0));
        module.section(&imports);
        let mut functions = FunctionSection::new();
        for _ in 0..3 {
            functions.function(0);
        }
        module.section(&functions);
        let mut tables = TableSection::new();
        tables.table(TableType {
            element_type: RefType::FUNCREF,
            minimum: 2,
            maximum: None,
            table64: false,
            shared: false,
        });
        module.section(&tables);
        let mut exports = ExportSection::new();
        exports.export("call", ExportKind::Func, 1);
        module.section(&exports);
        let mut elements = ElementSection::new();
        elements.active(
            None,
            &ConstExpr::i32_const(0),
            Elements::Functions(vec![2, 3].into()),
        );
        module.section(&elements);
        let mut code = CodeSection::new();
        let mut call = Function::new([]);
        call.instructions().call(3).end();
        code.function(&call);
        for value in [2, 1] {
            let mut constant = Function::new([(1, ValType::I64)]);
            constant.instructions().i32_const(value).end();
            code.function(&constant);
        }
        module.section(&code);
        module.finish()
    }

    /// The bodies in their order, what is exported, what stands in the table.
    fn parts(module: &[u8]) -> (Vec<Vec<u8>>, u32, Vec<u32>) {
        let (mut bodies, mut export, mut table) = (Vec::new(), 0, Vec::new());
        for payload in Parser::new(0).parse_all(module) {
            match payload.unwrap() {
                Payload::CodeSectionEntry(body) => bodies.push(body.as_bytes().to_vec()),
                Payload::ExportSection(section) => {
                    export = section.into_iter().next().unwrap().unwrap().index;
                }
                Payload::ElementSection(section) => {
                    let first = section.into_iter().next().unwrap().unwrap();
                    if let wasmparser::ElementItems::Functions(functions) = first.items {
                        table = functions
                            .into_iter()
                            .map(std::result::Result::unwrap)
                            .collect();
                    }
                }
                _ => {}
            }
        }
        (bodies, export, table)
    }

    #[test]
    fn only_the_way_in_is_uncalled() {
        let name = |end: &str| format!("_ZN53_$LT$T$u20$as$u20$tachys..view..{UNCALLED}{end}");
        assert!(is_uncalled(&name("17h0123456789abcdefE")));
        assert!(is_uncalled(&name("28_$u7b$$u7b$closure$u7d$$u7d$17h01E")));
        let deeper = "28_$u7b$$u7b$closure$u7d$$u7d$28_$u7b$$u7b$closure$u7d$$u7d$17h01E";
        assert!(!is_uncalled(&name(deeper)));
        assert!(!is_uncalled(
            "_ZN6tachys4html7element11HtmlElement13hydrate_async17h01E"
        ));
    }

    #[test]
    fn sorted_functions_are_found_where_they_went() {
        let (before, ..) = parts(&module());
        let (after, export, table) = parts(&sorted(&module()).unwrap());
        // The import is 0; `call` comes first and calls the constant 1, which comes before the constant 2.
        assert_eq!((export, table.as_slice()), (1, [3, 2].as_slice()));
        assert_eq!(after[1..], [before[2].clone(), before[1].clone()]);
        assert!(after[0].ends_with(&[0x10, 2, 0x0b]), "{:?}", after[0]);
    }
    #[test]
    fn what_a_script_lends_has_one_short_name_in_both() {
        let name = "__wbg_append_0123456789abcdef";
        let mut module = Module::new();
        let mut types = TypeSection::new();
        types.ty().function([], []);
        module.section(&types);
        let mut imports = ImportSection::new();
        imports.import("a", name, EntityType::Function(0));
        imports.import("a", "memory_of_another", EntityType::Function(0));
        module.section(&imports);
        let text = format!("const lent = {{\n    {name}: function() {{}},\n}};\n");
        let (module, text) = bound(&module.finish(), &text).unwrap();
        let taken = |name: &str| {
            module
                .windows(name.len())
                .any(|part| part == name.as_bytes())
        };
        assert!(taken("_0") && taken("memory_of_another") && !taken(name));
        assert_eq!(text, "const lent = {\n_0: function() {},\n};\n");
    }

    #[test]
    fn a_script_keeps_what_runs() {
        let text = "/**\n * Entry.\n */\nexport function a() {\n    // why\n    return 1 / 2; // half\n\n    /* b */\n}\n";
        assert_eq!(
            script(text),
            "export function a() {\nreturn 1 / 2; // half\n}\n"
        );
    }
}
