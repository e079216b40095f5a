#[zygote::entry]
unsafe fn poke(address: usize) {
    let _ = address;
}

#[zygote::entry]
extern "C" fn callback(code: i32) -> i32 {
    code
}

fn main() {}
