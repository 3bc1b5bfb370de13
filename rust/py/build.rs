//! Hashes the sources of every kernel, for the code id of the trials that use it.
//!
//! A kernel is a `#[pyfunction]`. Its sources are the file that binds it, the core modules that
//! file names and the modules these name in turn; "video" is one kernel made of its whole crate.
//! Left out is what cannot change a result: comments, unit tests, error messages, and the way into
//! and out of the kernels that all of them share. So an edit elsewhere makes no result stale.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

const BINDINGS: &str = "src";
const CORE: &str = "../core/src";
const VIDEO: &str = "../video/src";
/// Files of the bindings that all kernels share, and the messages of the core.
const SHARED: [&str; 7] = [
    "lib",
    "convert",
    "enter",
    "lists",
    "pool",
    "kernel_sources",
    "error",
];

fn main() {
    for folder in [BINDINGS, CORE, VIDEO] {
        println!("cargo::rerun-if-changed={folder}");
    }
    let mut table = String::from("const KERNEL_SOURCES: &[(&str, &str)] = &[\n");
    for (kernel, files) in kernels() {
        writeln!(table, "    ({kernel:?}, {:?}),", hash(&files)).expect("a string takes it all");
    }
    table.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("kernel_sources.rs"), table).expect("cargo's folder is writable");
}

fn kernels() -> BTreeMap<String, BTreeSet<PathBuf>> {
    let mut kernels = BTreeMap::new();
    for binding in rust_files(BINDINGS)
        .into_iter()
        .filter(|file| !SHARED.contains(&stem(file)) && stem(file) != "video")
    {
        let text = code(&binding);
        let mut files = BTreeSet::new();
        add_modules(&text, "pybench_core::", &mut files);
        files.insert(binding);
        for function in text.split("#[pyfunction]\n").skip(1) {
            let (_, name) = function
                .split_once("pub fn ")
                .expect("a kernel is a pub fn");
            kernels.insert(word(name).to_owned(), files.clone());
        }
    }
    if env::var_os("CARGO_FEATURE_VIDEO").is_some() {
        let binding = rust_files(BINDINGS)
            .into_iter()
            .filter(|file| stem(file) == "video");
        kernels.insert(
            "video".to_owned(),
            rust_files(VIDEO).into_iter().chain(binding).collect(),
        );
    }
    kernels
}

/// Adds the core modules that `text` names after `prefix`, and those they name.
fn add_modules(text: &str, prefix: &str, files: &mut BTreeSet<PathBuf>) {
    for path in text.split(prefix).skip(1) {
        let module = word(path);
        assert!(
            !module.is_empty(),
            "write one `use` for each module: {path:.20}"
        );
        let file = Path::new(CORE).join(module).with_extension("rs");
        if file.exists() && !SHARED.contains(&module) && files.insert(file.clone()) {
            add_modules(&code(&file), "crate::", files);
        }
    }
}

fn hash(files: &BTreeSet<PathBuf>) -> String {
    let mut state = blake2b_simd::Params::new().hash_length(16).to_state();
    for file in files {
        state.update(code(file).as_bytes());
    }
    state.finalize().to_hex().to_string()
}

/// The lines of a file up to its unit tests, without indentation, blank lines and comments.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("the sources are there");
    text.lines()
        .map(str::trim)
        .take_while(|line| *line != "#[cfg(test)]")
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// The Rust files of a folder and of those within it.
fn rust_files(folder: impl AsRef<Path>) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("the folder is readable").path();
        if path.is_dir() {
            files.append(&mut rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.insert(path);
        }
    }
    files
}

fn stem(file: &Path) -> &str {
    file.file_stem()
        .and_then(|stem| stem.to_str())
        .expect("source files have plain names")
}

fn word(text: &str) -> &str {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .next()
        .unwrap_or("")
}
