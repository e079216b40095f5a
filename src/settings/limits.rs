//! What a process may use, and which process goes first.

use std::{fs::File, io, io::Write, time::Duration};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

use super::{Resource, Setting, Settings, What};
use crate::sys::limits;

/// Whose disk requests go first, `ioprio_set(2)`, for
/// [`Process::io_priority`](crate::Process::io_priority).
///
/// The number goes from 0, the first, to 7, the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IoPriority {
    /// Before all other processes. It needs `CAP_SYS_NICE` or `CAP_SYS_ADMIN`.
    RealTime(u8),
    /// Like other processes; a nice value of 0 gives 4.
    BestEffort(u8),
    /// Only when no other process has requests.
    Idle,
}

impl IoPriority {
    /// Gives the kernel's class, and the priority within it.
    fn numbers(self) -> (u8, u8) {
        match self {
            Self::RealTime(level) => (1, level),
            Self::BestEffort(level) => (2, level),
            Self::Idle => (3, 0),
        }
    }

    fn of(setting: &Setting) -> io::Result<Self> {
        let [class, level] = setting.all()?[..] else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut all = [Self::RealTime(level), Self::BestEffort(level), Self::Idle].into_iter();
        let it = all.find(|it| it.numbers() == (class, level));
        Ok(it.ok_or(io::ErrorKind::InvalidInput)?)
    }
}

/// How CPU time is given, `sched(7)`, for
/// [`Process::scheduler`](crate::Process::scheduler).
///
/// The number is the real-time priority, and goes from 1, the last, to 99, the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheduler {
    /// In turn, by nice value: the default.
    Other,
    /// As `Other`, but the process is taken for one that computes and never waits.
    Batch,
    /// Only when no other process wants the CPU.
    Idle,
    /// Real time: the process runs before all others, until it waits.
    Fifo(u32),
    /// Real time: as `Fifo`, but in turn with others of its priority.
    RoundRobin(u32),
}

impl Scheduler {
    /// Gives the kernel's policy, and the priority.
    fn numbers(self) -> (i32, u32) {
        match self {
            Self::Other => (libc::SCHED_OTHER, 0),
            Self::Batch => (libc::SCHED_BATCH, 0),
            Self::Idle => (libc::SCHED_IDLE, 0),
            Self::Fifo(priority) => (libc::SCHED_FIFO, priority),
            Self::RoundRobin(priority) => (libc::SCHED_RR, priority),
        }
    }

    fn of(setting: &Setting) -> io::Result<Self> {
        let [policy, priority] = setting.all::<u32>()?[..] else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let plain = [Self::Other, Self::Batch, Self::Idle];
        let real_time = [Self::Fifo(priority), Self::RoundRobin(priority)];
        let mut all = plain.into_iter().chain(real_time);
        let it = all.find(|it| it.numbers() == (policy.cast_signed(), priority));
        Ok(it.ok_or(io::ErrorKind::InvalidInput)?)
    }
}

impl Settings {
    pub(crate) fn rlimit(&mut self, resource: Resource, soft: u64, hard: u64) {
        let limits = [soft, hard].map(u64::cast_signed);
        let setting = Setting::new(What::Rlimit).number(resource.number());
        self.put_numbered(limits.into_iter().fold(setting, Setting::number));
    }

    pub(crate) fn cpu_time(&mut self, limit: Duration) {
        let up = u64::from(limit.subsec_nanos() > 0);
        // The kernel multiplies it to nanoseconds in 64 bits, without a check.
        let seconds = limit.as_secs().saturating_add(up).clamp(1, 1 << 33);
        self.rlimit(Resource::Cpu, seconds, seconds + 1);
    }

    pub(crate) fn nice(&mut self, value: i32) {
        self.put(Setting::new(What::Nice).number(value));
    }

    pub(crate) fn io_priority(&mut self, priority: IoPriority) {
        let (class, level) = priority.numbers();
        self.put(Setting::new(What::IoPriority).number(class).number(level));
    }

    pub(crate) fn affinity(&mut self, cpus: impl IntoIterator<Item = usize>) {
        let cpu = |cpu| i64::try_from(cpu).unwrap_or(i64::MAX);
        let setting = Setting::new(What::Affinity);
        self.put(cpus.into_iter().map(cpu).fold(setting, Setting::number));
    }

    pub(crate) fn scheduler(&mut self, scheduler: Scheduler) {
        let (policy, priority) = scheduler.numbers();
        let setting = Setting::new(What::Scheduler).number(policy);
        self.put(setting.number(priority));
    }

    pub(crate) fn oom_score_adj(&mut self, value: i32) {
        self.put(Setting::new(What::OomScoreAdj).number(value));
    }
}

/// Reads what is limited, and the two limits.
fn limit(setting: &Setting) -> io::Result<(Resource, u64, u64)> {
    let [number, soft, hard] = setting.numbers[..] else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut known = Resource::ALL.iter().copied();
    let resource = known.find(|resource| i64::from(resource.number()) == number);
    let resource = resource.ok_or(io::ErrorKind::InvalidInput)?;
    Ok((resource, soft.cast_unsigned(), hard.cast_unsigned()))
}

pub(super) fn rlimit(setting: &Setting, _: &Settings) -> io::Result<()> {
    let (resource, soft, hard) = limit(setting)?;
    limits::rlimit(resource.number(), soft, hard)
}

pub(super) fn show_rlimit(setting: &Setting) -> io::Result<String> {
    let amount = |limit| match limit {
        Resource::UNLIMITED => "unlimited".to_owned(),
        _ => limit.to_string(),
    };
    let (resource, soft, hard) = limit(setting)?;
    Ok(format!("{resource:?}, {}, {}", amount(soft), amount(hard)))
}

pub(super) fn nice(setting: &Setting, _: &Settings) -> io::Result<()> {
    limits::nice(setting.one()?)
}

pub(super) fn io_priority(setting: &Setting, _: &Settings) -> io::Result<()> {
    let (class, level) = IoPriority::of(setting)?.numbers();
    limits::io_priority(class, level)
}

pub(super) fn show_io_priority(setting: &Setting) -> io::Result<String> {
    Ok(format!("{:?}", IoPriority::of(setting)?))
}

/// Fails with `EINVAL` if none of these CPUs exists and is allowed, or if one is beyond
/// what a set can have, 1024.
pub(super) fn affinity(setting: &Setting, _: &Settings) -> io::Result<()> {
    let mut set = CpuSet::new();
    for cpu in setting.all()? {
        set.set(cpu)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

pub(super) fn scheduler(setting: &Setting, _: &Settings) -> io::Result<()> {
    let (policy, priority) = Scheduler::of(setting)?.numbers();
    // The kernel's number is signed, and the kernel refuses what is out of its range.
    limits::scheduler(policy, priority.cast_signed())
}

pub(super) fn show_scheduler(setting: &Setting) -> io::Result<String> {
    Ok(format!("{:?}", Scheduler::of(setting)?))
}

pub(super) fn oom_score_adj(setting: &Setting, _: &Settings) -> io::Result<()> {
    let value: i32 = setting.one()?;
    let mut file = File::options()
        .write(true)
        .open("/proc/self/oom_score_adj")?;
    file.write_all(value.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(what: What, say: impl FnOnce(&mut Settings)) -> Setting {
        let mut settings = Settings::default();
        say(&mut settings);
        settings.of(what).next().cloned().unwrap()
    }

    #[test]
    fn limits_come_back_from_their_settings() {
        for resource in Resource::ALL {
            let setting = recorded(What::Rlimit, |all| {
                all.rlimit(*resource, 1 << 63, Resource::UNLIMITED);
            });
            let back = limit(&setting).unwrap();
            assert_eq!(back, (*resource, 1 << 63, u64::MAX));
        }
        let shown = recorded(What::Rlimit, |all| {
            all.rlimit(Resource::Nofile, 10, Resource::UNLIMITED);
        });
        assert_eq!(show_rlimit(&shown).unwrap(), "Nofile, 10, unlimited");
    }

    #[test]
    fn each_resource_has_one_limit() {
        let mut settings = Settings::default();
        settings.rlimit(Resource::Core, 1, 2);
        settings.rlimit(Resource::Cpu, 3, 4);
        settings.cpu_time(Duration::from_millis(1001));
        let all: Vec<_> = settings
            .of(What::Rlimit)
            .map(|it| limit(it).unwrap())
            .collect();
        assert_eq!(all, [(Resource::Core, 1, 2), (Resource::Cpu, 2, 3)]);
    }

    #[test]
    fn cpu_time_is_whole_seconds_that_the_kernel_can_count() {
        let seconds = |time| {
            let setting = recorded(What::Rlimit, |all| all.cpu_time(time));
            let (_, soft, hard) = limit(&setting).unwrap();
            assert_eq!(hard, soft + 1);
            soft
        };
        assert_eq!(seconds(Duration::ZERO), 1);
        assert_eq!(seconds(Duration::from_secs(2)), 2);
        assert_eq!(seconds(Duration::MAX), 1 << 33);
    }

    #[test]
    fn priorities_come_back_from_their_settings() {
        for priority in [
            IoPriority::RealTime(255),
            IoPriority::BestEffort(7),
            IoPriority::Idle,
        ] {
            let setting = recorded(What::IoPriority, |all| all.io_priority(priority));
            assert_eq!(IoPriority::of(&setting).unwrap(), priority);
            assert_eq!(show_io_priority(&setting).unwrap(), format!("{priority:?}"));
        }
        for scheduler in [
            Scheduler::Other,
            Scheduler::Batch,
            Scheduler::Idle,
            Scheduler::Fifo(u32::MAX),
            Scheduler::RoundRobin(1),
        ] {
            let setting = recorded(What::Scheduler, |all| all.scheduler(scheduler));
            assert_eq!(Scheduler::of(&setting).unwrap(), scheduler);
            assert_eq!(show_scheduler(&setting).unwrap(), format!("{scheduler:?}"));
        }
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        let of = |what, numbers: &[i64]| {
            let numbers = numbers.iter().copied();
            numbers.fold(Setting::new(what), Setting::number)
        };
        for wrong in [&[][..], &[7, 1], &[7, 1, 1, 1], &[99, 1, 1]] {
            assert!(limit(&of(What::Rlimit, wrong)).is_err(), "{wrong:?}");
        }
        for wrong in [&[][..], &[1], &[0, 0], &[4, 0], &[2, 256], &[2, 1, 1]] {
            let wrong = of(What::IoPriority, wrong);
            assert!(IoPriority::of(&wrong).is_err(), "{wrong:?}");
        }
        for wrong in [&[][..], &[1], &[0, 1], &[99, 0], &[1, -1], &[1, 1, 1]] {
            let wrong = of(What::Scheduler, wrong);
            assert!(Scheduler::of(&wrong).is_err(), "{wrong:?}");
        }
        let none = Settings::default();
        assert!(nice(&of(What::Nice, &[]), &none).is_err());
        assert!(affinity(&of(What::Affinity, &[-1]), &none).is_err());
        assert!(oom_score_adj(&of(What::OomScoreAdj, &[1 << 40]), &none).is_err());
    }
}
