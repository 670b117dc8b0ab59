//! The process itself, under the names that Prometheus' own client libraries use. From `/proc`: nothing elsewhere.

use std::{fs, path::Path};

use crate::exposition::{Labels, Metric, Page, metric};

/// Ticks of a second in `/proc` (`USER_HZ`): 100 on every Linux that we build for.
const TICKS: f64 = 100.0;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Process {
    cpu_seconds: f64,
    started_seconds: f64,
    resident_bytes: f64,
    virtual_bytes: f64,
    threads: f64,
    open_files: f64,
    max_files: f64,
}

pub(crate) const TABLE: &[Metric<Process>] = &[
    metric(
        "process_cpu_seconds_total",
        |process| process.cpu_seconds,
        "Time on a CPU, in user and system.",
    ),
    metric(
        "process_start_time_seconds",
        |process| process.started_seconds,
        "When the process was started, in seconds since 1970.",
    ),
    metric(
        "process_resident_memory_bytes",
        |process| process.resident_bytes,
        "Memory in use.",
    ),
    metric(
        "process_virtual_memory_bytes",
        |process| process.virtual_bytes,
        "Address space in use.",
    ),
    metric(
        "process_threads",
        |process| process.threads,
        "Threads of the operating system.",
    ),
    metric(
        "process_open_fds",
        |process| process.open_files,
        "Open file descriptors.",
    ),
    metric(
        "process_max_fds",
        |process| process.max_files,
        "How many file descriptors may be open.",
    ),
];

pub(crate) fn write(page: &mut Page) {
    if let Some(process) = read(Path::new("/proc")) {
        page.table(TABLE, &[(Labels::default(), process)]);
    }
}

fn read(proc: &Path) -> Option<Process> {
    let own = proc.join("self");
    let stat = fs::read_to_string(own.join("stat")).ok()?;
    // What comes before may have spaces and parentheses of its own: the program's name.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |at: usize| fields.get(at)?.parse::<f64>().ok();
    let status = fs::read_to_string(own.join("status")).ok()?;
    let boot = fs::read_to_string(proc.join("stat")).ok()?;
    let limits = fs::read_to_string(own.join("limits")).ok()?;
    Some(Process {
        cpu_seconds: (field(11)? + field(12)?) / TICKS,
        started_seconds: number_after(&boot, "btime")? + field(19)? / TICKS,
        resident_bytes: number_after(&status, "VmRSS:")? * 1024.0,
        virtual_bytes: field(20)?,
        threads: field(17)?,
        open_files: fs::read_dir(own.join("fd")).ok()?.count() as f64,
        max_files: number_after(&limits, "Max open files").unwrap_or(f64::INFINITY),
    })
}

fn number_after(text: &str, label: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(label))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says_is_in_base_units() {
        let proc = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = proc.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, text).expect("a file");
        };
        let stat = "17 (a (b) c) S 1 17 17 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 3 0 12345 104857600 777 1 1";
        write("self/stat", stat);
        write("self/status", "Name:\tx\nVmRSS:\t    2048 kB\n");
        write(
            "self/limits",
            "Max open files            1024                 524288               files\n",
        );
        write("stat", "cpu 1 2 3\nbtime 1700000000\n");
        write("self/fd/0", "");
        write("self/fd/1", "");
        let expected = Process {
            cpu_seconds: 3.0,
            started_seconds: 1_700_000_123.45,
            resident_bytes: 2_097_152.0,
            virtual_bytes: 104_857_600.0,
            threads: 3.0,
            open_files: 2.0,
            max_files: 1024.0,
        };
        assert_eq!(read(proc.path()), Some(expected));
    }

    #[test]
    fn where_there_is_no_proc_there_is_nothing() {
        let nowhere = tempfile::tempdir().expect("a directory");
        assert_eq!(read(nowhere.path()), None);
    }
}
