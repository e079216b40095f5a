#[zygote::entry]
async fn fetch(url: String) -> String {
    url
}

#[zygote::preload]
async fn load(url: String) -> String {
    url
}

fn main() {}
