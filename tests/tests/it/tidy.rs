//! Rules of the sources that no linter checks.

use std::path::{Path, PathBuf};

/// The most lines of a source file: what still reads in one sitting.
const LINES_MAX: usize = 350;

/// Builders of requests that take DynamoDB expressions.
const EXPRESSIONS: [&str; 7] = [
    "condition_expression(",
    "expression_attribute_names(",
    "expression_attribute_values(",
    "filter_expression(",
    "key_condition_expression(",
    "projection_expression(",
    "update_expression(",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

/// What breaks a rule in a source file, given its path from the root.
fn breaches(path: &str, source: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut report = |line: usize, what: &str| breaches.push(format!("{path}:{line}: {what}"));
    let lines = source.lines().count();
    if lines > LINES_MAX {
        report(lines, "a file has at most 350 lines");
    }
    for (index, line) in source.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let holds = |names: &[&str]| names.iter().any(|name| code.contains(name));
        if !path.starts_with("infra/local/") && holds(&["println!", "print!(", "dbg!", "todo!", "unimplemented!"]) {
            report(index + 1, "functions log, they do not print; and nothing is left to do");
        }
        // A benchmark names them once more: what it measures the store against must not be the store.
        let may_name = path.starts_with("shared/store/") || path.starts_with("infra/local/src/bench/");
        if !may_name && holds(&EXPRESSIONS) {
            report(index + 1, "only shared/store names DynamoDB expressions");
        }
    }
    breaches
}

#[test]
fn sources_are_tidy() {
    let (root, mut paths, mut found) = (root(), Vec::new(), Vec::new());
    sources(&root, &mut paths);
    assert!(paths.len() > 50, "only {} sources were found", paths.len());
    for path in paths {
        let source = std::fs::read_to_string(&path).expect("sources are text");
        let path = path.strip_prefix(&root).expect("sources are under the root").to_string_lossy().into_owned();
        // This file names what it forbids.
        if !path.ends_with("it/tidy.rs") {
            found.extend(breaches(&path, &source));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn each_rule_finds_its_breach() {
    let count = |path: &str, source: &str| breaches(path, source).len();
    assert_eq!(count("functions/orders/src/place.rs", "fn f() {\n    println!(\"x\");\n}\n"), 1);
    assert_eq!(count("infra/local/src/cli.rs", "fn f() {\n    println!(\"x\");\n}\n"), 0);
    assert_eq!(count("functions/orders/src/place.rs", "    // todo!() was here\n"), 0);
    assert_eq!(count("functions/orders/src/place.rs", "    x.update_expression(\"SET a = :a\")\n"), 1);
    assert_eq!(count("shared/store/src/orders.rs", "    x.update_expression(\"SET a = :a\")\n"), 0);
    assert_eq!(count("shared/domain/src/long.rs", &"fn f() {}\n".repeat(LINES_MAX + 1)), 1);
}
