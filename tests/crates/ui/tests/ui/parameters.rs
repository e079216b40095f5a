#[zygote::entry]
fn conditional(#[cfg(unix)] id: u32) {
    drop(id);
}

#[zygote::entry]
unsafe extern "C" fn variadic(count: i32, _: ...) {
    drop(count);
}

fn main() {}
