struct Server {
    port: u16,
}

impl Server {
    #[zygote::entry]
    fn run(&self) -> u16 {
        self.port
    }

    #[zygote::entry]
    fn into_port(self, add: u16) -> u16 {
        self.port + add
    }
}

fn main() {
    let server = Server { port: 80 };
    println!("{}", server.run() + server.into_port(1));
}
