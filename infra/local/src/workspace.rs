//! Where things live in the working copy.

use std::path::{Path, PathBuf};

/// The root of the workspace: the folder of `template.yaml`.
pub fn root() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.ancestors().nth(2).expect("this crate lies two folders below the root").to_owned()
}

/// The folder that holds everything `cargo dev` makes: virtual environments, the local key, one folder per stack.
pub fn dev() -> PathBuf {
    root().join("target/dev")
}

/// The folder of the stack called `name`: its `stack.json` and its logs.
pub fn stack(name: &str) -> PathBuf {
    dev().join(name)
}

/// `path` as a person in the workspace's root would write it.
pub fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
