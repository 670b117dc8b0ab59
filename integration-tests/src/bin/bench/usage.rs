use std::{
    collections::HashMap,
    fs,
    process::{Command, Stdio},
};

const TICKS_PER_SECOND: f64 = 100.0; // USER_HZ, fixed in Linux' interface to user space
/// Looking for new children means looking at every process of the machine, so not each time.
const LOOKS_PER_SCAN: u32 = 40;

/// What a command has used, with all its children.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    /// Now.
    pub(crate) rss_mb: f64,
    /// The kernel's own high-water mark.
    pub(crate) peak_rss_mb: f64,
    pub(crate) threads: u64,
}

/// A process and its descendants, as /proc shows them.
#[derive(Debug)]
pub(crate) struct Tree {
    root: u32,
    members: Vec<Member>,
    looks: u32,
}

/// An id may be given to somebody else, but not with the same start.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    pid: u32,
    started: u64,
}

impl Tree {
    pub(crate) fn of(root: u32) -> Self {
        Self {
            root,
            members: Vec::new(),
            looks: 0,
        }
    }

    pub(crate) fn usage(&mut self) -> Usage {
        if self.looks.is_multiple_of(LOOKS_PER_SCAN) {
            self.scan();
        }
        self.looks += 1;
        let mut sum = Usage::default();
        for member in &self.members {
            let (Some(stat), Some(memory)) = (Stat::read(member.pid), Memory::read(member.pid)) else {
                continue;
            };
            if stat.started == member.started {
                sum.cpu_seconds += stat.ticks as f64 / TICKS_PER_SECOND;
                sum.threads += stat.threads;
                sum.rss_mb += memory.now_kb as f64 * 1024.0 / 1e6;
                sum.peak_rss_mb += memory.peak_kb as f64 * 1024.0 / 1e6;
            }
        }
        sum
    }

    /// `kill -9` for those who outlived their parent.
    pub(crate) fn kill(&self) {
        for member in &self.members {
            if Stat::read(member.pid).is_some_and(|stat| stat.started == member.started) {
                let pid = member.pid.to_string();
                let _ = Command::new("kill").args(["-9", &pid]).stderr(Stdio::null()).status();
            }
        }
    }

    /// Finds the members. Who was one stays one: a child whose parent ended has another parent now.
    pub(crate) fn scan(&mut self) {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        let mut started = HashMap::new();
        for pid in pids {
            if let Some(stat) = Stat::read(pid) {
                children.entry(stat.parent).or_default().push(pid);
                started.insert(pid, stat.started);
            }
        }
        self.members
            .retain(|member| started.get(&member.pid) == Some(&member.started));
        let mut found = vec![self.root];
        found.extend(self.members.iter().map(|member| member.pid));
        while let Some(pid) = found.pop() {
            let Some(&started) = started.get(&pid) else { continue };
            found.extend(children.remove(&pid).unwrap_or_default());
            let member = Member { pid, started };
            if !self.members.contains(&member) {
                self.members.push(member);
            }
        }
    }
}

struct Stat {
    parent: u32,
    /// User and system, and those of ended children.
    ticks: u64,
    threads: u64,
    started: u64,
}

impl Stat {
    /// `None` if it is gone.
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The name may hold anything, even brackets.
        let (_, after_name) = text.rsplit_once(')')?;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(number(1)?).ok()?,
            ticks: number(11)? + number(12)? + number(13)? + number(14)?,
            threads: number(17)?,
            started: number(19)?,
        })
    }
}

struct Memory {
    now_kb: u64,
    peak_kb: u64,
}

impl Memory {
    fn read(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        Some(Self {
            now_kb: value("VmRSS:")?,
            peak_kb: value("VmHWM:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read};

    use super::*;

    #[test]
    fn a_stat_line_is_read_behind_its_name() {
        let line = "7 (a) b (c)) S 3 7 7 0 -1 0 9 9 9 9 10 20 3 4 20 0 5 0 777 1 1";
        let stat = Stat::parse(line).expect("a whole line");
        assert_eq!((stat.parent, stat.ticks, stat.threads, stat.started), (3, 37, 5, 777));
    }

    #[test]
    fn children_count_and_are_killed() {
        let mut command = Command::new("sh");
        command
            .args(["-c", "sleep 60 & echo started; wait"])
            .stdout(Stdio::piped());
        let mut parent = command.spawn().expect("sh starts");
        let mut out = BufReader::new(parent.stdout.take().expect("it is piped"));
        out.read_line(&mut String::new()).expect("it says something");
        let mut tree = Tree::of(parent.id());
        let usage = tree.usage();
        assert_eq!((tree.members.len(), usage.threads), (2, 2));
        assert!(usage.rss_mb > 0.0 && usage.peak_rss_mb >= usage.rss_mb);
        tree.kill();
        // The pipe closes when both are gone.
        let mut rest = String::new();
        out.read_to_string(&mut rest).expect("a pipe");
        parent.wait().expect("it was started by us");
    }
}
