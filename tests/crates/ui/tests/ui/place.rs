struct Index;

#[zygote::entry]
fn search(index: &Index, query: String) -> bool {
    let Index = index;
    query.is_empty()
}

fn main() -> zygote::Result<()> {
    let process = zygote::Process::new()?;
    process.fork()?.run(search::task("fork".into()))?;
    search::spawn(&process, "fork".into())?;
    Ok(())
}
