//! The filters of system calls.

use std::{collections::BTreeMap, env::consts::ARCH, io};

use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction as Action, SeccompCmpArgLen as Width,
    SeccompCmpOp as Is, SeccompCondition, SeccompFilter, SeccompRule, apply_filter,
};

use super::{allowed::Confine, calls};
use crate::sys::{confine, fork};

/// Filters as the kernel takes them. If several of them answer, the strictest answer
/// counts.
pub(super) struct Filters {
    /// Errors other than the usual one, and what is answered here.
    asides: Vec<BpfProgram>,
    /// What may be done at all.
    allowed: BpfProgram,
}

/// Calls, each with the rules of which one must match; a call without rules always
/// matches.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Builds the filters. A worker that is `detached` may be told so once more.
pub(super) fn build(allowed: &Confine, detached: bool) -> io::Result<Filters> {
    let rules = rules(allowed, detached).map_err(io::Error::other)?;
    let otherwise = if allowed.strict {
        Action::KillProcess
    } else {
        Action::Errno(libc::EPERM.cast_unsigned())
    };
    let unseen = calls::UNSEEN.iter().map(|call| (*call, Vec::new()));
    let missing = Action::Errno(libc::ENOSYS.cast_unsigned());
    let mut asides = vec![compile(unseen.collect(), Action::Allow, missing)?];
    if is_fstat_answered(allowed) {
        let trapped = STATUS.map(|(call, _)| (call, Vec::new())).into();
        asides.push(compile(trapped, Action::Allow, Action::Trap)?);
    }
    Ok(Filters {
        asides,
        allowed: compile(rules, otherwise, Action::Allow)?,
    })
}

impl Filters {
    /// Installs them. The one that allows comes last: it does not allow installing the
    /// next.
    pub(super) fn install(self) -> io::Result<()> {
        if self.asides.len() > 1 {
            confine::answer_fstat()?;
        }
        let mut all = self.asides.iter().chain([&self.allowed]);
        all.try_for_each(|program| apply_filter(program))
            .map_err(|error| match error {
                Error::Seccomp(error) => io::Error::new(
                    io::ErrorKind::Unsupported,
                    format!("the kernel takes no seccomp filter (CONFIG_SECCOMP_FILTER): {error}"),
                ),
                other => io::Error::other(other),
            })
    }
}

fn compile(rules: Rules, otherwise: Action, matched: Action) -> io::Result<BpfProgram> {
    let program = ARCH
        .try_into()
        .and_then(|arch| SeccompFilter::new(rules, otherwise, matched, arch))
        .and_then(BpfProgram::try_from);
    program.map_err(io::Error::other)
}

/// Ways to ask for a descriptor's status by a path that is empty, and where their
/// flags are. A filter cannot see whether a path is empty, so they are answered
/// in the process; where paths may be looked at that is not needed.
const STATUS: [(i64, u8); 2] = [(libc::SYS_newfstatat, 3), (libc::SYS_statx, 2)];

fn is_fstat_answered(allowed: &Confine) -> bool {
    allowed.readable.is_empty()
}

fn rules(allowed: &Confine, detached: bool) -> Result<Rules, BackendError> {
    let mut rules = Rules::new();
    let mut always = |calls: &[i64]| rules.extend(calls.iter().map(|call| (*call, Vec::new())));
    always(calls::ALWAYS);
    always(calls::UNSEEN);
    if allowed.sockets {
        always(calls::SOCKETS);
    }
    if !allowed.readable.is_empty() {
        always(calls::LOOKING);
    }
    allow_memory(&mut rules)?;
    allow_itself(&mut rules, detached)?;
    if !allowed.sockets {
        // Only to the peer that the socket is connected to.
        allow(&mut rules, libc::SYS_sendto, vec![null(4)])?;
    }
    if is_fstat_answered(allowed) {
        for (call, flags) in STATUS {
            let by_empty_path = masked(flags, libc::AT_EMPTY_PATH, libc::AT_EMPTY_PATH);
            allow(&mut rules, call, vec![by_empty_path])?;
        }
    }
    if !allowed.readable.is_empty() {
        allow(&mut rules, libc::SYS_openat, vec![without(2, WRITING)])?;
        #[cfg(target_arch = "x86_64")]
        allow(&mut rules, libc::SYS_open, vec![without(1, WRITING)])?;
    }
    Ok(rules)
}

/// Allows a call whose arguments meet all of these conditions.
fn allow(rules: &mut Rules, call: i64, conditions: Vec<Condition>) -> Result<(), BackendError> {
    let conditions = conditions.into_iter().map(Condition::compile);
    let rule = SeccompRule::new(conditions.collect::<Result<_, _>>()?)?;
    rules.entry(call).or_default().push(rule);
    Ok(())
}

/// Allows memory that its limit counts and that no code runs in.
fn allow_memory(rules: &mut Rules) -> Result<(), BackendError> {
    // The limit of memory does not count a stack that grows by itself, nor anonymous
    // memory that is shared. A memory file has a limit of its own.
    for (bits, value) in [
        (MAP_KIND, libc::MAP_PRIVATE),
        (MAP_KIND, libc::MAP_DROPPABLE),
        (MAP_KIND | libc::MAP_ANONYMOUS, libc::MAP_SHARED),
    ] {
        let harmless = vec![without(2, libc::PROT_EXEC), masked(3, bits, value)];
        allow(rules, libc::SYS_mmap, harmless)?;
    }
    allow(rules, libc::SYS_mprotect, vec![without(2, libc::PROT_EXEC)])?;
    // The rest, which spoils pages of the machine, is for the privileged.
    let harmless = vec![below(2, libc::MADV_HWPOISON)];
    allow(rules, libc::SYS_madvise, harmless)
}

/// Allows what a process does with itself and its threads.
fn allow_itself(rules: &mut Rules, detached: bool) -> Result<(), BackendError> {
    let own = fork::own_pid();
    // musl's flag without a meaning is let through.
    let threads = vec![masked(0, !libc::CLONE_DETACHED, calls::THREAD)];
    allow(rules, libc::SYS_clone, threads)?;
    for call in [libc::SYS_kill, libc::SYS_tgkill, libc::SYS_tkill] {
        allow(rules, call, vec![equal(0, own)])?;
    }
    // It may read its own limits.
    allow(rules, libc::SYS_prlimit64, vec![equal(0, 0), null(2)])?;
    allow(rules, libc::SYS_prlimit64, vec![equal(0, own), null(2)])?;
    for (call, place, values) in [
        (libc::SYS_fcntl, 1, calls::FCNTL),
        (libc::SYS_ioctl, 1, calls::IOCTL),
        (libc::SYS_prctl, 0, calls::PRCTL),
    ] {
        for value in values {
            allow(rules, call, vec![equal(place, *value)])?;
        }
    }
    if detached {
        let off = vec![equal(0, libc::PR_SET_PDEATHSIG), equal(1, 0)];
        allow(rules, libc::SYS_prctl, off)?;
    }
    Ok(())
}

/// The flags of `mmap` that make one memory different from another.
const MAP_KIND: i32 = libc::MAP_TYPE | libc::MAP_GROWSDOWN;

/// All flags that open a file for more than reading. Of `O_TMPFILE` it is the bit that
/// is not `O_DIRECTORY`.
const WRITING: i32 =
    libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | (libc::O_TMPFILE & !libc::O_DIRECTORY);

/// What an argument must be.
struct Condition {
    argument: u8,
    width: Width,
    is: Is,
    value: i32,
}

impl Condition {
    fn compile(self) -> Result<SeccompCondition, BackendError> {
        let value = self.value.cast_unsigned().into();
        SeccompCondition::new(self.argument, self.width, self.is, value)
    }
}

/// Asks that the 32 bits which the kernel takes of the argument are this number.
fn equal(argument: u8, value: i32) -> Condition {
    Condition {
        argument,
        width: Width::Dword,
        is: Is::Eq,
        value,
    }
}

fn below(argument: u8, value: i32) -> Condition {
    Condition {
        is: Is::Lt,
        ..equal(argument, value)
    }
}

/// Asks that of the bits in `mask` those in `value` are set, and no others.
fn masked(argument: u8, mask: i32, value: i32) -> Condition {
    Condition {
        is: Is::MaskedEq(mask.cast_unsigned().into()),
        ..equal(argument, value)
    }
}

/// Asks that none of these bits is set.
fn without(argument: u8, bits: i32) -> Condition {
    masked(argument, bits, 0)
}

/// Asks that a pointer, or a number of 64 bits, is zero.
fn null(argument: u8) -> Condition {
    Condition {
        width: Width::Qword,
        ..equal(argument, 0)
    }
}
