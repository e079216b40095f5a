//! Every process may die, stop, be late or fail at every step: nobody hangs,
//! nothing leaks, and each call has one outcome. Without an early template:
//! it is executed.

mod cases;
