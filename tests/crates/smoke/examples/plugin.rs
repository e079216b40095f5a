//! A shared object with zygote in it, for a program that knows nothing of it
//! (`src/host.c`). Such a program is never forked and never executed again.
#![expect(unsafe_code, reason = "a symbol for a program in C")]

zygote::early!();

#[zygote::entry]
fn anything() -> u8 {
    1
}

/// 0 when a spawn is refused as it must be.
// No other symbol has this name.
#[unsafe(no_mangle)]
pub extern "C" fn plugin_spawns() -> i32 {
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || stopped.recv().is_err());
    let copy = zygote::Process::fork_current();
    drop(stop);
    // The two errors must not name each other.
    let is_told = matches!(&copy, Err(error) if error.is_invalid()
        && error.to_string().contains("an executable of your own")
        && !error.to_string().contains("Process::new"));
    if !is_told || other.join().is_err() {
        return 2;
    }
    match (zygote::Process::new(), anything::spawn()) {
        (Err(process), Err(worker))
            if process.is_invalid()
                && worker.is_invalid()
                && worker.is_unstarted()
                && process.to_string().contains("shared object")
                && process.to_string().contains("Process::fork_current") =>
        {
            0
        }
        _ => 1,
    }
}
