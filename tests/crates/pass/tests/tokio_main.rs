//! An async entry is one with a runtime of its own.

#![deny(warnings)]

#[tokio::main(flavor = "current_thread")]
#[zygote::entry]
async fn fetch(url: String) -> std::io::Result<String> {
    tokio::task::yield_now().await;
    Ok(url)
}

#[tokio::main]
#[zygote::entry]
/// With docs, and state.
async fn search(index: &Vec<String>, query: String) -> bool {
    tokio::task::yield_now().await;
    index.contains(&query)
}

fn main() {
    let _: zygote::Task<std::io::Result<String>> = fetch::task("x".into());
    let _ = search::task("x".into());
    assert_eq!(fetch("x".into()).unwrap(), "x");
}
