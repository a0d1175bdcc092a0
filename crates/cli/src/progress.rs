//! Progress on standard error.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// A line that says how far a long action has come; gone when it is dropped.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A line with a spinner; [`Progress::set_bytes`] or [`Progress::set_steps`] turns it into a bar. Hidden
    /// unless wanted and standard error is a terminal.
    pub(crate) fn new(wanted: bool, message: String) -> Self {
        let bar = if wanted && std::io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        } else {
            ProgressBar::hidden()
        };
        bar.set_message(message);
        Self { bar }
    }

    /// So many bytes of so many are done.
    pub fn set_bytes(&self, done: u64, total: u64) {
        self.set(done, total, "{msg} {wide_bar} {bytes}/{total_bytes}");
    }

    /// So many steps of so many are done.
    pub fn set_steps(&self, done: u64, total: u64) {
        self.set(done, total, "{msg} {wide_bar} {pos}/{len}");
    }

    fn set(&self, done: u64, total: u64, template: &str) {
        if self.bar.length() != Some(total) {
            let style = ProgressStyle::with_template(template)
                .expect("the templates of this file are well-formed");
            self.bar.set_style(style);
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }

    /// Changes what the line says.
    pub fn message(&self, text: impl Into<String>) {
        self.bar.set_message(text.into());
    }

    /// Prints a line above, without tearing the progress line.
    pub fn note(&self, text: &str) {
        self.bar.println(text);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unwanted_progress_is_hidden_and_harmless() {
        let progress = Progress::new(false, "uploading".to_owned());
        progress.set_bytes(1, 10);
        progress.set_steps(2, 20);
        progress.message("still uploading");
        progress.note("a line");
        assert!(progress.bar.is_hidden());
    }
}
