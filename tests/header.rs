//! The header is what the source says: `include/maxstorage.h` is generated from `src/ffi` and the table of options.
//!
//! `MS_BLESS=1 cargo test --test header` writes it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use maxstorage::error::Kind;
use maxstorage::options::TABLE;

const INTRODUCTION: &str = r"/*
 * maxstorage: the native way into MaxCompute.
 *
 * Generated from the source by `MS_BLESS=1 cargo test --test header`; do not edit.
 *
 * The rules, once for all functions:
 *
 *  - A client (endpoint, caller, limits) opens sessions; a session is one planned read of one table, a list of splits; a split
 *    is an open reader from which one thread at a time takes Arrow batches. A batch belongs to the caller.
 *  - Handles are made and freed by the library. A child keeps what it needs of its parents: free in any order, from any
 *    thread. Every _free accepts NULL, waits for nobody and cannot fail.
 *  - `const ms_x *` may be used from any thread at any time. `ms_x *` means one call at a time; a second one gets MS_BUSY. Only
 *    _free needs a handle that nobody else uses.
 *  - Fallible functions return ms_status and, if `err` is not NULL, make an ms_error that the caller frees. Outputs are emptied
 *    on entry and filled on success only, so cleaning up is always allowed.
 *  - Text is NUL-terminated UTF-8; what the library returns is borrowed from the handle it came from.
 *  - No mistake the library can detect crashes the host: not a NULL, not bad UTF-8, not a defect of ours (MS_INTERNAL).
 *  - After fork, calls that need the parent's threads return MS_FORKED in the child, which opens a client of its own. Reading what a
 *    handle knows and _free are allowed.
 *  - The library installs no signal handler and no atexit handler, writes nothing to stdout and stderr, and its threads
 *    block the host's signals.
 */";

fn preamble() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let parts: Vec<u32> = version.split('.').map(|part| part.parse().expect("a number")).collect();
    let (major, minor, patch) = (parts[0], parts[1], parts[2]);
    let mut text = format!(
        r#"
/** Version of this header; ms_version() is the library's. */
#define MS_VERSION "{version}"
#define MS_VERSION_MAJOR {major}
#define MS_VERSION_MINOR {minor}
#define MS_VERSION_PATCH {patch}
/** The version as one number that can be compared: major * 1000000 + minor * 1000 + patch. */
#define MS_VERSION_NUMBER {number}

#if defined(_WIN32) && defined(MS_SHARED)
#define MS_API __declspec(dllimport)
#elif defined(__GNUC__)
#define MS_API __attribute__((visibility("default")))
#else
#define MS_API
#endif

#if defined(__GNUC__)
#define MS_NODISCARD __attribute__((warn_unused_result))
#else
#define MS_NODISCARD
#endif

/* Keys of options; docs/options.md tells types, defaults and ranges. */
"#,
        number = major * 1_000_000 + minor * 1_000 + patch
    );
    for key in TABLE {
        let name = key.name.to_uppercase().replace('.', "_");
        let doc = key.doc.replace("*/", "* /");
        writeln!(text, "/** {doc} */\n#define MS_OPT_{name} \"{}\"", key.name).expect("a string takes text");
    }
    text
}

fn generate() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
    config.header = Some(INTRODUCTION.to_owned());
    config.after_includes = Some(preamble());
    let mut text = Vec::new();
    let bindings = cbindgen::Builder::new().with_crate(root).with_config(config).generate().expect("the source parses");
    bindings.write(&mut text);
    String::from_utf8(text).expect("UTF-8")
}

fn header() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/maxstorage.h");
    std::fs::read_to_string(path).expect("include/maxstorage.h")
}

/// The comment and the declaration of every function.
fn functions(header: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in header.split("/**").skip(1) {
        let Some((comment, rest)) = part.split_once("*/") else { continue };
        let declaration = rest.split(';').next().unwrap_or_default();
        if declaration.trim_start().starts_with("MS_API") {
            found.push((comment.to_owned(), declaration.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    found
}

#[test]
fn header_is_fresh() {
    let generated = generate();
    if std::env::var_os("MS_BLESS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/maxstorage.h");
        std::fs::write(path, &generated).expect("the header can be written");
        return;
    }
    assert!(generated == header(), "include/maxstorage.h is stale: run MS_BLESS=1 cargo test --test header");
}

#[test]
fn every_function_tells_what_its_caller_must_know() {
    let header = header();
    let functions = functions(&header);
    assert_eq!(functions.len(), header.lines().filter(|line| line.starts_with("MS_API")).count());
    assert!(functions.len() > 30);
    for (comment, declaration) in &functions {
        for tag in ["Thread:", "Blocking:", "@since"] {
            assert!(comment.contains(tag), "no {tag} for {declaration}");
        }
        let parameters = declaration.split_once('(').map(|(_, list)| list.trim_end_matches(')')).unwrap_or_default();
        for parameter in parameters.split(',').filter(|parameter| *parameter != "void") {
            let name = parameter.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            let direction = if name.starts_with("out_") || name == "err" { "[out]" } else { "[in]" };
            assert!(comment.contains(&format!("@param{direction} {name} ")), "{name} is not told in {declaration}");
        }
        assert!(
            declaration.starts_with("MS_API void ms_") || comment.contains("@return"),
            "no @return for {declaration}"
        );
    }
}

#[test]
fn every_symbol_has_the_prefix_and_is_told_once() {
    let header = header();
    let mut names = BTreeSet::new();
    for (_, declaration) in functions(&header) {
        let name =
            declaration.split('(').next().unwrap_or_default().rsplit([' ', '*']).next().unwrap_or_default().to_owned();
        assert!(name.starts_with("ms_"), "{name}");
        assert!(names.insert(name));
    }
}

#[test]
fn status_constants_are_the_kinds_of_the_library() {
    let header = header();
    for kind in Kind::ALL {
        let definition = format!("#define {} {}\n", kind.constant(), *kind as i32);
        assert!(header.contains(&definition), "{definition}");
        assert!(header.contains(kind.meaning()), "{} has another comment than the library", kind.constant());
    }
}
