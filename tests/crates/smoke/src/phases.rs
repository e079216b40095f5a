//! A value that panics where it is told to: while it is read, used, dropped or
//! written.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) const PHASES: [&str; 4] = ["decode", "entry", "drop", "encode"];

#[derive(Debug)]
pub(crate) struct Trap {
    phase: String,
    /// It has arrived in the worker.
    armed: bool,
}

impl Trap {
    pub(crate) fn new(phase: &str) -> Self {
        let phase = phase.to_owned();
        Self {
            phase,
            armed: false,
        }
    }

    fn reach(&self, phase: &str) {
        assert!(!self.armed || self.phase != phase, "trapped in {phase}");
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.reach("drop");
    }
}

impl Serialize for Trap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.reach("encode");
        self.phase.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Trap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let phase = String::deserialize(deserializer)?;
        let trap = Self { phase, armed: true };
        trap.reach("decode");
        Ok(trap)
    }
}

#[zygote::entry]
pub(crate) fn trapped(trap: Trap) -> Option<Trap> {
    trap.reach("entry");
    (trap.phase == "encode").then_some(trap)
}
