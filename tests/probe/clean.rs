//! What is there when nothing runs, and that nothing else is.

use std::{fmt, os::unix::process::parent_id, str::FromStr};

use super::probe::{LIMIT, STOCK, descriptors, fill_stock, group, until};

#[zygote::entry]
fn parent() -> u32 {
    parent_id()
}

/// The descriptors of the program and of its default template, when nothing
/// runs and the stock is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ground {
    program: usize,
    template: usize,
}

impl Ground {
    /// Counts, and gives what belongs to nobody: processes of this group that
    /// are neither the program, nor its template, nor what that has in stock.
    fn look() -> (Self, Vec<String>) {
        let workers: Vec<_> = (0..STOCK).map(|_| parent::spawn().unwrap()).collect();
        let parents: Vec<u32> = workers
            .into_iter()
            .map(|worker| {
                worker.wait().unwrap();
                worker.join().unwrap()
            })
            .collect();
        let (program, template) = (std::process::id(), parents[0]);
        assert_eq!(parents, [template; STOCK]);
        fill_stock(template, || {
            let worker = parent::spawn().unwrap();
            worker.wait().unwrap();
            worker.join().unwrap();
        });
        let all = group(program).into_iter();
        let strays = all
            .filter(|it| it.state == 'Z' || ![it.pid, it.parent].contains(&template))
            .filter(|it| it.pid != program)
            .map(|it| format!("{it:?}"))
            .collect();
        let ground = Self {
            program: descriptors(program).len(),
            template: descriptors(template).len(),
        };
        (ground, strays)
    }

    /// What is there once nothing runs any more.
    pub(crate) fn take() -> Self {
        let mut last = Self::look();
        let settled = until(LIMIT, || {
            let next = Self::look();
            let same = next == last && next.1.is_empty();
            last = next;
            same
        });
        assert!(settled, "{last:?}");
        last.0
    }

    /// No process of this program's group is left over, none is a zombie, and
    /// the program and its template have the descriptors that they had. In a
    /// program that uses no other template any more.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        let mut last = Self::look();
        let clean = until(LIMIT, || {
            last = Self::look();
            last == (*self, Vec::new())
        });
        assert!(
            clean,
            "not clean, before {self:?}, now {last:?}: {:#?}",
            descriptors(std::process::id())
        );
    }
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.program, self.template)
    }
}

impl FromStr for Ground {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (program, template) = text.split_once('+').unwrap_or((text, ""));
        Ok(Self {
            program: program.parse()?,
            template: template.parse()?,
        })
    }
}
