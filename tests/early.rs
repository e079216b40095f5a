//! The whole suite, with a template that was forked before `main`.

#![allow(missing_docs, clippy::unwrap_used, reason = "these are tests")]

mod suite;
mod util;

zygote::early!();

#[test]
fn the_template_is_there_before_it_is_needed() {
    let _limit = util::watchdog(30);
    util::alone(|| {
        let own = std::process::id();
        assert_eq!(util::templates(own).len(), 1);
        assert_eq!(util::templates(own), [util::template()]);
    });
}
