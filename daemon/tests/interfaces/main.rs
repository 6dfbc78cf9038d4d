//! The socket API on a real socket, and `vouchctl` against it, with a scripted desk behind them.

#[path = "../../examples/generate.rs"]
mod generate;

mod activation;
mod derived;
mod groups;
mod hostile;
mod http;
mod lab;
mod roles;
mod routes;
mod script;
mod stream;
mod vouchctl;
