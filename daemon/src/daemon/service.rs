//! The daemon as a service: what it tells systemd, and what it is told.

use crate::exchange::Exchange;
use std::time::Duration;
use systemd::daemon::{STATE_READY, STATE_STOPPING, STATE_WATCHDOG};
use tokio::signal::unix::{SignalKind, signal};

/// Everything is up: calls are taken.
pub(super) fn ready() {
    notify(STATE_READY);
    tracing::info!("ready");
}

/// No more calls are taken.
pub(super) fn stopping() {
    notify(STATE_STOPPING);
    tracing::info!("stopping");
}

/// Waits for SIGTERM or SIGINT.
pub(super) async fn stop_signal() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Tells systemd's watchdog twice per period that the exchange answers; a stuck one is then restarted.
pub(super) async fn keep_alive(exchange: Exchange) {
    let Ok(micros @ 1..) = systemd::daemon::watchdog_enabled() else { return };
    let mut beat = tokio::time::interval(Duration::from_micros(micros) / 2);
    loop {
        beat.tick().await;
        if exchange.status().await.is_ok() {
            notify(STATE_WATCHDOG);
        }
    }
}

fn notify(state: &str) {
    // Without systemd there is nobody to tell.
    if let Err(error) = systemd::daemon::notify([(state, "1")].iter()) {
        tracing::warn!(%error, "systemd was not told");
    }
}
