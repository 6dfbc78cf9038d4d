//! The torture messages of RFC 4475 and RFC 5118: what each document says of each, and bodies of our own for
//! the rules behind them.
