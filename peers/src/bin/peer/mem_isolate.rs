//! `mem-isolate`: a fork of the program, which returns when that has ended.

use anyhow::Result;

pub(crate) fn call(value: u64) -> Result<u64> {
    Ok(mem_isolate::execute_in_isolated_process(|| value)?)
}
