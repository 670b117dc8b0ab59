//! One line at the bottom of a terminal that says how far long work has come. Where nobody watches, nothing is written.

use std::{
    collections::HashMap,
    io::{IsTerminal, Write},
};

/// How many cells the bar has.
const CELLS: usize = 24;

/// See the module. The line goes away with the value.
#[derive(Debug)]
pub(crate) struct Progress {
    is_watched: bool,
    shown: String,
    /// Of each part of the work: what is done, and all of it.
    parts: HashMap<String, (u64, u64)>,
}

impl Progress {
    /// On standard error, if that is a terminal.
    pub(crate) fn new() -> Self {
        Self {
            is_watched: std::io::stderr().is_terminal(),
            shown: String::new(),
            parts: HashMap::new(),
        }
    }

    /// A part of the work is so far: `done` of `all`, as of now.
    pub(crate) fn part(&mut self, what: &str, name: &str, (done, all): (u64, u64)) {
        if !self.is_watched {
            return;
        }
        match self.parts.get_mut(name) {
            Some(part) => *part = (done, all),
            None => _ = self.parts.insert(name.to_owned(), (done, all)),
        }
        let sum = |of: fn(&(u64, u64)) -> u64| self.parts.values().map(of).sum::<u64>();
        let (done, all) = (sum(|part| part.0.min(part.1)), sum(|part| part.1));
        self.show(format!("{what} {} {name}", bar(done, all)));
    }

    /// Other output comes: the line makes room for it, and is there again with the next step.
    pub(crate) fn clear(&mut self) {
        if !self.shown.is_empty() {
            self.shown.clear();
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }

    fn show(&mut self, line: String) {
        if line != self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
            self.shown = line;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn bar(done: u64, all: u64) -> String {
    let share = if all == 0 { 1.0 } else { done as f64 / all as f64 };
    let full = (share * CELLS as f64) as usize;
    format!(
        "[{}{}] {:>3}%",
        "=".repeat(full),
        " ".repeat(CELLS - full),
        (share * 100.0) as u64
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_full_as_the_work_is_done() {
        assert_eq!(bar(0, 10), format!("[{}]   0%", " ".repeat(24)));
        assert_eq!(bar(5, 10), format!("[{}{}]  50%", "=".repeat(12), " ".repeat(12)));
        assert_eq!(bar(10, 10), format!("[{}] 100%", "=".repeat(24)));
        assert_eq!(bar(0, 0), bar(1, 1), "nothing to do is done");
    }

    #[test]
    fn parts_are_added_up_and_only_a_watched_one_says_something() {
        let mut progress = Progress::new();
        progress.is_watched = false;
        progress.part("verify", "a-0", (1, 2));
        assert_eq!(progress.shown, "");
        progress.is_watched = true;
        progress.part("verify", "a-0", (1, 2));
        progress.part("verify", "a-1", (2, 4));
        assert_eq!(progress.shown, format!("verify {} a-1", bar(3, 6)));
        progress.clear();
        assert_eq!(progress.shown, "");
    }
}
