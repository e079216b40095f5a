//! Functions and parameters with the names that an expansion could use for its
//! own variables, items and methods.

#![deny(warnings)]

/// An entry of this name, with a parameter of each of the others.
macro_rules! entries {
    ($($name:ident)*) => { $(
        #[zygote::entry]
        fn $name(
            call: u8, input: u8, out: u8, conn: u8, args: u8, result: u8, kinds: u8, returned: u8,
            process: u8, value: u8, codec: u8, element: u8, run: u8, argument_0: u8, argument_1: u8,
        ) -> u8 {
            call + input + out + conn + args + result + kinds + returned
                + process + value + codec + element + run + argument_0 + argument_1
        }
    )* };
}

mod entries {
    entries! {
        call input out conn args result kinds returned process value codec element run
        argument_0 argument_1 task spawn entry state put take all arguments split join keep reply
    }

    pub(crate) fn tasks() {
        drop(call::task(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1));
        drop(process::task(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1));
    }
}

macro_rules! of_a_value {
    ($($name:ident)*) => { $(
        #[zygote::entry]
        fn $name(call: &u8, process: u8, _process: u8, out: u8) -> Result<u8, String> {
            Ok(call + process + _process + out)
        }
    )* };
}

mod of_a_value {
    of_a_value! { call input out result kinds returned process argument_0 state task spawn }
}

macro_rules! raw {
    ($($name:ident)*) => { $(
        #[zygote::entry(raw)]
        fn $name(conn: std::os::unix::net::UnixStream, args: zygote::raw::Args) {
            drop((conn, args));
        }
    )* };
}

mod raw_entries {
    raw! { conn args call input out result connection take_args run }
}

macro_rules! preloads {
    ($($name:ident)*) => { $(
        #[zygote::preload]
        fn $name(call: u8, out: u8, result: u8) -> Result<u8, String> {
            Ok(call + out + result)
        }
    )* };
}

mod preloads {
    preloads! { call input out result loaded keep value argument_0 argument_1 task }
}

macro_rules! in_place {
    ($($name:ident)*) => { $(
        #[zygote::preload]
        fn $name(result: &mut u8, call: u8) {
            *result += call;
        }
    )* };
}

mod in_place {
    in_place! { call input out result state argument_0 }
}

macro_rules! hooks {
    ($($name:ident)*) => { $(
        #[zygote::hook(worker)]
        fn $name() {}
    )* };
}

mod hooks {
    hooks! { returned outcome hook call worker }
}

/// A pattern's parameter has a name of its own in the constructors.
#[zygote::entry]
fn patterns((a, b): (u8, u8), argument_1: u8, [c]: [u8; 1], argument_3: u8) -> u8 {
    a + b + argument_1 + c + argument_3
}

/// Constants and statics, which a variable of the same name would be taken for.
#[allow(non_upper_case_globals, dead_code)]
mod constants {
    const call: u8 = 1;
    const input: u8 = 1;
    static out: u8 = 1;
    static result: u8 = 1;
    const conn: u8 = 1;
    const args: u8 = 1;
    const kinds: u8 = 1;
    const returned: u8 = 1;
    const argument_0: u8 = 1;

    #[zygote::entry]
    fn entry(a: u8, b: String) -> Result<u8, String> {
        Ok(a + b.len() as u8)
    }

    #[zygote::entry(raw)]
    fn raw(_: std::os::unix::net::UnixStream, _: zygote::raw::Args) {}

    #[zygote::preload]
    fn preload(a: u8) -> Result<u8, String> {
        Ok(a)
    }

    #[zygote::hook(parent)]
    fn hook() -> Result<(), String> {
        Ok(())
    }
}

fn main() {
    entries::tasks();
    drop(patterns::task((1, 2), 3, [4], 5));
    assert_eq!(patterns((1, 2), 3, [4], 5), 15);
}
