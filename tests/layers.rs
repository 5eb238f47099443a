//! The layer rule of docs/map.md: a module uses only modules of lower layers, and only `ffi` has `unsafe`.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules by layer, lowest first; `session` before `split` within the layer of the engine's objects.
const LAYERS: &[&[&str]] = &[
    &["error"],
    &["memory", "metrics"],
    &["options"],
    &["proto", "arrow", "auth"],
    &["predicate"],
    &["runtime"],
    &["transport"],
    &["client"],
    &["catalog"],
    &["session"],
    &["split"],
    &["scan"],
    &["ffi"],
];

fn sources(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).expect("src can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn layer(module: &str) -> usize {
    LAYERS.iter().position(|names| names.contains(&module)).unwrap_or_else(|| panic!("{module} has no layer"))
}

/// The module a source file belongs to, and its text without tests.
fn modules() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    sources(&root)
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name != "lib.rs"))
        .map(|path| {
            let relative = path.strip_prefix(&root).expect("below src");
            let first = relative.components().next().expect("a name").as_os_str().to_string_lossy();
            let text = fs::read_to_string(&path).expect("UTF-8");
            let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
            (first.trim_end_matches(".rs").to_owned(), path, text)
        })
        .collect()
}

#[test]
fn arrows_point_down() {
    let mut arrows = 0;
    for (module, path, text) in modules() {
        for part in text.split("crate::").skip(1) {
            let used: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            assert!(
                used == module || layer(&used) < layer(&module),
                "{} ({module}) uses {used}, which is not below it",
                path.display()
            );
            arrows += 1;
        }
    }
    assert!(arrows > 50, "the test looks in the wrong place");
}

#[test]
fn unsafe_code_is_in_ffi_only() {
    for (module, path, text) in modules() {
        let has_unsafe = text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or_default();
            code.contains("unsafe ") || code.contains("unsafe_code")
        });
        assert!(!has_unsafe || module == "ffi", "{} has unsafe code", path.display());
    }
}

#[test]
fn tokio_stays_in_its_modules_and_arrow_structs_in_theirs() {
    for (module, path, text) in modules() {
        if text.contains("tokio::") {
            assert!(module == "runtime" || module == "transport", "{} uses Tokio", path.display());
        }
        if text.contains("reqwest::") {
            assert_eq!(module, "transport", "{}", path.display());
        }
        if text.contains("FFI_ArrowArray::new") || text.contains("FFI_ArrowSchema::try_from") {
            let in_arrow = path.ends_with("ffi/arrow.rs") || path.ends_with("ffi/arrow/batch.rs");
            assert!(in_arrow, "{}", path.display());
        }
        if text.contains("catch_unwind") {
            assert!(path.ends_with("ffi/gate.rs") || path.ends_with("ffi/mod.rs"), "{}", path.display());
        }
    }
}
