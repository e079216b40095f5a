#[zygote::entry]
struct Job;

#[zygote::preload]
const INDEX: u32 = 1;

trait Service {
    #[zygote::entry]
    fn serve(port: u16);
}

impl Service for Job {
    fn serve(_: u16) {}
}

fn main() {
    Job::serve(INDEX as u16);
}
