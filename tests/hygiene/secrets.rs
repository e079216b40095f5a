//! What nobody else should see.

use super::*;

#[zygote::entry]
pub(crate) fn hashed() -> u64 {
    RandomState::new().hash_one(42)
}

pub(crate) fn keys() {
    let own = Process::new().unwrap();
    for executed in [false, true] {
        if executed {
            end_early();
        }
        let fresh = Process::fresh().unwrap();
        for template in [&own, &fresh, &Process::new().unwrap()] {
            if executed && ptr::eq(template, &raw const own) {
                continue;
            }
            let workers = template.spawn_all((0..100).map(|_| hashed::task()));
            let hashes: BTreeSet<u64> = workers
                .into_iter()
                .map(|worker| worker.unwrap().join().unwrap())
                .collect();
            assert_eq!(hashes.len(), 100);
        }
    }
    say("done", "");
}

#[test]
fn workers_of_one_template_have_different_hash_keys() {
    run("keys");
}

#[zygote::entry]
pub(crate) fn keep(secret: String) -> usize {
    let length = secret.len();
    rest();
    length
}

pub(crate) fn titles() {
    const SECRET: &str = "c0nfidential";
    for executed in [false, true] {
        if executed {
            end_early();
        }
        let worker = keep::spawn(SECRET.repeat(100)).unwrap();
        let template = default_template();
        let title = |pid: u32| {
            let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
            String::from_utf8_lossy(&bytes)
                .trim_end_matches('\0')
                .to_owned()
        };
        let own = std::process::id();
        assert!(until(LIMIT, || title(worker.id()).contains("keep")));
        let shown = title(worker.id());
        assert!(
            shown.starts_with("zygote: hygiene::secrets::keep of "),
            "{shown}"
        );
        assert!(shown.ends_with(&format!(" {own}")), "{shown}");
        assert_eq!(title(template), format!("zygote: template of {own}"));
        for pid in [worker.id(), template] {
            for file in ["cmdline", "environ", "comm"] {
                let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap();
                let text = String::from_utf8_lossy(&bytes);
                assert!(!text.contains(SECRET), "{file} of {pid}");
            }
        }
        assert!(is_alive(worker.id()) && stat(worker.id()).unwrap().parent == template);
        worker.kill().unwrap();
    }
    say("done", "");
}

#[test]
fn titles_show_the_entry_and_no_arguments() {
    run("titles");
}
