//! Settings: file, environment, flags, in rising order.

use crate::args::CommonArgs;
use crate::error::CliError;
use config::{Config, ConfigError, Environment, File, FileFormat};
use serde::de::DeserializeOwned;

/// Loads a program's settings.
///
/// 1. The file: `--config`, which must exist, or `config.toml` in the program's home, if it is there.
/// 2. The environment: `PROGRAM__KEY`, for example `HOSPITAL_SERVER__LISTEN`; a further `__` goes into a
///    section.
/// 3. `flags`: the program's own, by key, as far as they were given.
///
/// Defaults are the type's (`#[serde(default)]`). Secrets are no settings.
///
/// # Errors
/// Usage, naming the file, key or value.
pub fn load_settings<T: DeserializeOwned>(
    program: &str,
    common: &CommonArgs,
    flags: &[(&str, Option<String>)],
) -> Result<T, CliError> {
    let prefix = program.to_uppercase().replace('-', "_");
    let environment = Environment::with_prefix(&prefix)
        .prefix_separator("__")
        .separator("__")
        .try_parsing(true);
    load(program, common, environment, flags)
}

fn load<T: DeserializeOwned>(
    program: &str,
    common: &CommonArgs,
    environment: Environment,
    flags: &[(&str, Option<String>)],
) -> Result<T, CliError> {
    let (path, required) = match &common.config {
        Some(path) => (path.clone(), true),
        None => (common.home_dir(program)?.join("config.toml"), false),
    };
    let shown = path.display().to_string();
    let bad = |error: ConfigError| {
        CliError::usage(
            format!("the settings are wrong: {error}"),
            format!("correct {shown}, the environment or the flags"),
        )
    };
    let mut builder = Config::builder()
        .add_source(
            File::from(path.as_path())
                .format(FileFormat::Toml)
                .required(required),
        )
        .add_source(environment);
    for (key, value) in flags {
        builder = builder
            .set_override_option(*key, value.clone())
            .map_err(bad)?;
    }
    builder
        .build()
        .and_then(|config| config.try_deserialize())
        .map_err(bad)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::ExitCode;
    use serde::Deserialize;
    use std::path::PathBuf;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(default)]
    struct Settings {
        listen: String,
        interval: u64,
        vault: Vault,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Vault {
        dir: String,
    }

    impl Default for Settings {
        fn default() -> Self {
            Self {
                listen: "default".to_owned(),
                interval: 1,
                vault: Vault::default(),
            }
        }
    }

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let source = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Environment::with_prefix("PROGRAM")
            .prefix_separator("__")
            .separator("__")
            .try_parsing(true)
            .source(Some(source))
    }

    fn home(path: PathBuf) -> CommonArgs {
        CommonArgs {
            home: Some(path),
            ..CommonArgs::default()
        }
    }

    #[test]
    fn later_sources_win() {
        let dir = tempfile::tempdir().unwrap();
        let common = home(dir.path().to_owned());
        let none = environment(&[("OTHER__LISTEN", "not ours")]);
        let settings: Settings = load("program", &common, none, &[]).unwrap();
        assert_eq!(settings, Settings::default());

        let text = "listen = \"file\"\ninterval = 2\n[vault]\ndir = \"file\"\n";
        std::fs::write(dir.path().join("config.toml"), text).unwrap();
        let settings: Settings = load("program", &common, environment(&[]), &[]).unwrap();
        assert_eq!((settings.listen.as_str(), settings.interval), ("file", 2));

        let pairs = [("PROGRAM__LISTEN", "env"), ("PROGRAM__VAULT__DIR", "env")];
        let settings: Settings = load("program", &common, environment(&pairs), &[]).unwrap();
        assert_eq!((settings.listen.as_str(), settings.interval), ("env", 2));
        assert_eq!(settings.vault.dir, "env");

        let flags = [("listen", Some("flag".to_owned())), ("interval", None)];
        let settings: Settings = load("program", &common, environment(&pairs), &flags).unwrap();
        assert_eq!((settings.listen.as_str(), settings.interval), ("flag", 2));
    }

    #[test]
    fn a_named_file_must_exist_and_be_right() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("named.toml");
        let common = CommonArgs {
            config: Some(path.clone()),
            ..CommonArgs::default()
        };
        let error = load::<Settings>("program", &common, environment(&[]), &[]).unwrap_err();
        assert_eq!(error.exit, ExitCode::Usage);
        std::fs::write(&path, "interval = \"soon\"\n").unwrap();
        let error = load::<Settings>("program", &common, environment(&[]), &[]).unwrap_err();
        assert!(error.what.contains("interval"), "{error}");
        assert_eq!(error.to_string().lines().count(), 2);
    }
}
