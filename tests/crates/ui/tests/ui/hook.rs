#[zygote::hook]
fn no_time() {}

#[zygote::hook(order = 1)]
fn order_is_no_time() {}

#[zygote::hook(before)]
fn unknown_time() {}

#[zygote::hook(worker, order)]
fn no_order() {}

#[zygote::hook(worker, order = "first")]
fn text() {}

#[zygote::hook(worker, order = 1u8)]
fn suffix() {}

#[zygote::hook(worker, order = -2147483649)]
fn too_small() {}

#[zygote::hook(worker, order = 1, order = 2)]
fn twice() {}

#[zygote::hook(worker, crate = "path")]
fn path() {}

#[zygote::hook(worker, name = "x")]
fn unknown_option() {}

#[zygote::hook(worker, child)]
fn two_times() {}

#[zygote::hook(worker)]
async fn is_async() {}

#[zygote::hook(worker)]
unsafe fn is_unsafe() {}

#[zygote::hook(worker)]
extern "C" fn is_extern() {}

#[zygote::hook(worker)]
fn generic<T>() {}

#[zygote::hook(worker)]
fn parameters(number: u32, text: &str) {
    drop((number, text));
}

#[zygote::hook(child)]
fn never() -> ! {
    std::process::exit(1)
}

struct Server;

impl Server {
    #[zygote::hook(worker)]
    fn method(&self) {}
}

#[zygote::hook(worker)]
const NUMBER: u32 = 5;

fn main() {
    no_time();
    Server.method();
}
