//! A library that computes expressions from strangers, each in a process of its own. A
//! program that calls it need not know of these processes, and need not set anything up.

use std::{fmt, iter::Peekable, str::Chars, time::Duration};

use zygote::{Process, settings::Resource};

/// How long one expression may take.
const LIMIT: Duration = Duration::from_secs(5);

/// How much stack: enough for all that people write by hand.
const STACK: u64 = 1 << 20;

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It is not an expression.
    Syntax(String),
    /// The calculator failed: by a crash, or for want of time.
    Failed(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(what) => write!(f, "syntax: {what}"),
            Self::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<zygote::Error> for Error {
    fn from(error: zygote::Error) -> Self {
        Self::Failed(error.message().to_owned())
    }
}

/// Gives the value of an expression of whole numbers, `+`, `*` and parentheses.
///
/// # Errors
///
/// It is not an expression, or computing it crashed or took too long. The caller lives
/// on.
pub fn evaluate(expression: &str) -> Result<i64, Error> {
    let process = Process::new()?.rlimit(Resource::Stack, STACK, STACK);
    let worker = process.run(compute::task(expression.to_owned()))?;
    let mut worker = worker.kill_on_drop(true);
    match worker.join_timeout(LIMIT)? {
        Some(value) => value.map_err(Error::Syntax),
        None => Err(Error::Failed("it takes too long".to_owned())),
    }
}

/// Overflows the stack if the parentheses are deep, and panics if the value is large.
#[zygote::entry]
fn compute(expression: String) -> Result<i64, String> {
    let mut rest = expression.trim().chars().peekable();
    let value = sum(&mut rest)?;
    match rest.next() {
        None => Ok(value),
        Some(c) => Err(format!("`{c}` is too much")),
    }
}

fn sum(rest: &mut Peekable<Chars<'_>>) -> Result<i64, String> {
    let mut value = product(rest)?;
    while rest.next_if_eq(&'+').is_some() {
        let next = product(rest)?;
        value = value.checked_add(next).expect("the sum is too large");
    }
    Ok(value)
}

fn product(rest: &mut Peekable<Chars<'_>>) -> Result<i64, String> {
    let mut value = factor(rest)?;
    while rest.next_if_eq(&'*').is_some() {
        let next = factor(rest)?;
        value = value.checked_mul(next).expect("the product is too large");
    }
    Ok(value)
}

fn factor(rest: &mut Peekable<Chars<'_>>) -> Result<i64, String> {
    if rest.next_if_eq(&'(').is_some() {
        let value = sum(rest)?;
        return match rest.next() {
            Some(')') => Ok(value),
            _ => Err("a `)` is missing".to_owned()),
        };
    }
    let mut digits = String::new();
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    digits
        .parse()
        .map_err(|_| format!("`{digits}` is no number"))
}
