//! A library that has a pool inside: its users see neither processes nor this crate.
#![allow(
    dead_code,
    missing_debug_implementations,
    unreachable_pub,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it reports what it found"
)]
mod parser {
    use std::{sync::OnceLock, time::Duration};

    use zygote::{Pool, Process};

    #[zygote::entry]
    fn parse(text: String) -> Result<u64, String> {
        text.parse().map_err(|error| format!("{error}"))
    }

    /// Parses numbers that nobody trusts.
    #[derive(Clone, Debug)]
    pub struct Parser(Pool);

    /// Why there is no number.
    #[derive(Debug)]
    pub enum Error {
        Syntax(String),
        Crashed(zygote::Error),
    }

    impl Parser {
        pub fn new() -> Result<Self, Error> {
            let pool = Process::new().and_then(|process| {
                Pool::builder(process)
                    .workers(0..=2)
                    .time_limit(Duration::from_secs(1))
                    .build()
            });
            pool.map(Self).map_err(Error::Crashed)
        }

        /// One for the whole program, made when it is first needed.
        pub fn shared() -> &'static Self {
            static SHARED: OnceLock<Parser> = OnceLock::new();
            SHARED.get_or_init(|| Self::new().unwrap())
        }

        pub fn parse(&self, text: &str) -> Result<u64, Error> {
            flatten(self.0.call(parse::task(text.to_owned())).join())
        }

        /// Under any runtime: the future needs none.
        pub async fn parse_async(&self, text: &str) -> Result<u64, Error> {
            flatten(self.0.call(parse::task(text.to_owned())).await)
        }
    }

    fn flatten(result: zygote::Result<Result<u64, String>>) -> Result<u64, Error> {
        result.map_err(Error::Crashed)?.map_err(Error::Syntax)
    }
}

use parser::Parser;

fn main() {
    println!("{:?}", Parser::shared().parse("17"));
    println!("{:?}", Parser::shared().parse("x"));
    // From many threads, with and without a runtime.
    std::thread::scope(|scope| {
        for n in 0..8 {
            scope.spawn(move || assert_eq!(Parser::shared().parse(&n.to_string()).unwrap(), n));
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap(); // no I/O enabled
    println!("{:?}", runtime.block_on(Parser::shared().parse_async("18")));
}
