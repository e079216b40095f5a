//! A template that aborts (`CONSTRUCTORS=abort`) ends by SIGABRT, alone: the
//! program gets a typed error.

#[cfg(feature = "early")]
zygote::early!();

#[zygote::entry]
fn nothing() {}

fn main() -> Result<(), String> {
    assert_eq!(constructors::runs().map(|(count, _)| count), [1; 3]);
    #[cfg(feature = "early")]
    {
        // The early template is this program's child, though an invisible one.
        let status = constructors::wait_for_any_child();
        if status.is_none_or(|status| status & 0x7f != 6) {
            return Err(format!("the template did not end by SIGABRT: {status:?}"));
        }
    }
    match nothing::spawn() {
        // The one that was executed instead has aborted, too.
        Err(error) if error.is_unstarted() && error.is_template_gone() => Ok(()),
        other => Err(format!("not the right error: {other:?}")),
    }
}
