//! Huge pages for memory that forks share: a fork copies the page tables of its
//! template, and a huge page needs one entry where 512 others do.

use std::{fs, ops::Range, os::raw::c_void};

use nix::unistd::{SysconfVar, sysconf};

/// Advice that puts a range into huge pages at once (Linux 6.1). `libc` lacks it.
const MADV_COLLAPSE: i32 = 25;

/// Puts the private memory of this process into huge pages, wherever at least half of
/// one is in use. What the kernel refuses stays as it is.
pub(crate) fn collapse() {
    let Some(size) = size() else { return };
    let Ok(maps) = fs::read_to_string("/proc/self/maps") else {
        return;
    };
    let ranges = maps.lines().filter_map(private);
    let starts = ranges.flat_map(|range| chunks(range, size));
    for run in runs(starts.filter(|start| is_in_use(*start, size)), size) {
        // The kernel goes on after a page that it refuses. The first try frees pages
        // that may lie side by side, so that the second finds room.
        let _ = try_collapse(&run) || try_collapse(&run);
    }
}

/// Gives the size of a huge page, if there are any.
fn size() -> Option<usize> {
    let text = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size");
    text.ok()?.trim().parse().ok().filter(|size| *size > 0)
}

/// Gives the addresses of a mapping that is private, writable and not of a file.
fn private(line: &str) -> Option<Range<usize>> {
    let mut words = line.split_ascii_whitespace();
    let (range, mode) = (words.next()?, words.next()?);
    let (_, _, inode) = (words.next()?, words.next()?, words.next()?);
    let is_special = words
        .next()
        .is_some_and(|name| name.starts_with("[stack") || name.starts_with("[v"));
    if mode != "rw-p" || inode != "0" || is_special {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    Some(number(start)?..number(end)?)
}

/// Gives the beginning of each huge page that fits into a range.
fn chunks(range: Range<usize>, size: usize) -> impl Iterator<Item = usize> {
    let first = range.start.next_multiple_of(size);
    (first..range.end)
        .step_by(size)
        .filter(move |start| range.end - start >= size)
}

/// Joins chunks that lie side by side into runs, because each call for a run makes the
/// kernel wait for all processors.
fn runs(starts: impl Iterator<Item = usize>, size: usize) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for start in starts {
        match runs.last_mut() {
            Some(last) if last.end == start => last.end += size,
            _ => runs.push(start..start + size),
        }
    }
    runs
}

/// Asks for huge pages in a range, and tells whether all of it is in huge pages now.
fn try_collapse(range: &Range<usize>) -> bool {
    let at = std::ptr::without_provenance_mut::<c_void>(range.start);
    // SAFETY: the kernel moves the bytes to another page and changes none of them; where
    // nothing is mapped it refuses.
    unsafe { libc::madvise(at, range.len(), MADV_COLLAPSE) == 0 }
}

/// Tells whether at least half of the pages there are in memory. To collapse others
/// would take more memory than it saves.
fn is_in_use(start: usize, size: usize) -> bool {
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    let Some(page) = page.and_then(|page| usize::try_from(page).ok()) else {
        return false;
    };
    let mut pages = vec![0_u8; size / page];
    let at = std::ptr::without_provenance_mut::<c_void>(start);
    // SAFETY: the kernel writes one byte for each page of the range, and `pages` has as
    // many; where nothing is mapped it refuses.
    let known = unsafe { libc::mincore(at, size, pages.as_mut_ptr()) } == 0;
    known && 2 * pages.iter().filter(|page| **page & 1 != 0).count() >= pages.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_private_memory_without_a_file_is_taken() {
        let lines = [
            ("7f0000000000-7f0000400000 rw-p 00000000 00:00 0 ", true),
            (
                "55d0c0000000-55d0c0400000 rw-p 00000000 00:00 0    [heap]",
                true,
            ),
            (
                "7f0000000000-7f0000400000 rw-p 00000000 00:00 0 [anon: mine]",
                true,
            ),
            ("7f0000000000-7f0000400000 r--p 00000000 00:00 0 ", false),
            (
                "7f0000000000-7f0000400000 rw-s 00000000 00:01 4 /memfd:x (deleted)",
                false,
            ),
            (
                "7f0000000000-7f0000400000 rw-p 00000000 08:01 77 /usr/lib/libc.so",
                false,
            ),
            (
                "7ffd00000000-7ffd00400000 rw-p 00000000 00:00 0    [stack]",
                false,
            ),
            ("nonsense", false),
        ];
        for (line, is_taken) in lines {
            assert_eq!(private(line).is_some(), is_taken, "{line}");
        }
        assert_eq!(
            private(lines[0].0),
            Some(0x7f00_0000_0000..0x7f00_0040_0000)
        );
    }

    #[test]
    fn what_lies_side_by_side_is_one_run() {
        let of = |starts: &[usize]| runs(starts.iter().copied(), 2);
        assert_eq!(of(&[2, 4, 8, 12, 14, 16]), [2..6, 8..10, 12..18]);
        assert!(of(&[]).is_empty());
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no madvise")]
    fn what_the_kernel_refuses_stays_as_it_is() {
        let Some(size) = size() else { return };
        let bytes: Vec<u8> = (0..3 * size).map(|at| at.to_le_bytes()[1]).collect();
        let first = (bytes.as_ptr() as usize).next_multiple_of(size);
        let at = std::ptr::with_exposed_provenance_mut::<c_void>(first);
        // SAFETY: the advice is about a part of `bytes`, and changes none of them.
        assert_eq!(unsafe { libc::madvise(at, size, libc::MADV_NOHUGEPAGE) }, 0);
        assert!(is_in_use(first, size) && !is_in_use(0, size));
        assert!(!try_collapse(&(first..first + size)), "it is refused");
        assert!(!try_collapse(&(0..size)), "nothing is there");
        collapse();
        let intact = |(at, byte): (usize, &u8)| *byte == at.to_le_bytes()[1];
        assert!(bytes.iter().enumerate().all(intact));
    }

    #[test]
    fn only_whole_huge_pages_are_taken() {
        let of = |range| chunks(range, 0x20).collect::<Vec<_>>();
        assert_eq!(of(0x10..0x70), [0x20, 0x40]);
        assert_eq!(of(0x20..0x60), [0x20, 0x40]);
        assert_eq!(of(0x21..0x5f), []);
        assert_eq!(of(0x10..0x20), []);
    }
}
