//! How much memory a process has, as `/proc` tells it.

/// Gives the bytes that no other process has; `None` if the kernel does not tell. It is
/// the sum of the lines `Private_…` of `smaps_rollup`, which are in KiB.
pub(crate) fn private(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    sum(&text)
}

fn sum(text: &str) -> Option<u64> {
    let lines = text.lines().filter(|line| line.starts_with("Private_"));
    let kib = lines.map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    let kib: Option<u64> = kib.sum();
    kib.map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_written_counts() {
        let text = "Rss:  9 kB\nPrivate_Clean:   3 kB\nPrivate_Dirty: 40 kB\n";
        assert_eq!(sum(text), Some(43 * 1024));
        assert_eq!(sum("Private_Clean: x kB"), None);
        let own = i32::try_from(std::process::id()).unwrap();
        let before = private(own).unwrap();
        let more = vec![1_u8; 32 << 20];
        let after = private(own).unwrap();
        assert!(
            after >= before + (more.len() as u64) / 2,
            "{before} {after}"
        );
        assert_eq!(private(0), None);
    }
}
