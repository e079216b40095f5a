//! A constructor starts a thread (`CONSTRUCTORS=thread` or `thread-late`): the
//! template refuses, and says which.

#[cfg(feature = "early")]
zygote::early!();

#[zygote::entry]
fn nothing() {}

fn main() -> Result<(), String> {
    let name = match std::env::var("CONSTRUCTORS").as_deref() {
        Ok("thread") => "made-in-rust",
        Ok("thread-late") => "made-in-c",
        _ => return Err("CONSTRUCTORS is not set".to_owned()),
    };
    assert_eq!(constructors::runs().map(|(count, _)| count), [1; 3]);
    for _ in 0..2 {
        let error = match nothing::spawn() {
            Ok(worker) => return Err(format!("a worker with threads: {:?}", worker.join())),
            Err(error) => error,
        };
        if !error.is_invalid() || !error.is_unstarted() || !error.to_string().contains(name) {
            return Err(format!("the wrong error: {error:?}"));
        }
    }
    Ok(())
}
