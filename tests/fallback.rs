//! The whole suite, with a template that is executed when it is first needed.

#![allow(missing_docs, clippy::unwrap_used, reason = "these are tests")]

mod suite;
mod util;

#[test]
fn there_is_no_template_before_it_is_needed() {
    let _limit = util::watchdog(30);
    util::alone(|| {
        let own = std::process::id();
        assert_eq!(util::templates(own), [0; 0]);
        let template = util::template();
        assert_eq!(util::templates(own), [template]);
    });
}
