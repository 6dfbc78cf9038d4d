//! The daemon: what it is started with, what it starts, and how it stops.

pub mod args;
pub mod files;
mod service;

use crate::api::socket::Socket;
use crate::api::{Api, ApiConfig};
use crate::calibration::SiteCalibration;
use crate::capture::Threads;
use crate::config::Config;
use crate::engine::{Engine, EngineConfig};
use crate::exchange::{Exchange, Parts};
use crate::metrics::Metrics;
use crate::sip::transport;
use crate::store::Store;
use crate::sys::capabilities::give_up_net_raw;
use crate::tap::live::Interfaces;
use crate::{log, model};
use args::Args;
use clap::Parser;
use jiff::Timestamp;
use std::process::ExitCode;
use std::sync::Arc;
use vouch_dsp::network::Network;

/// Why the daemon did not start, or stopped.
type Fault = Box<dyn std::error::Error + Send + Sync>;

/// `vouchd`: reads its arguments, runs until it is told to stop.
pub fn main() -> ExitCode {
    let args = Args::parse();
    match prepare(&args) {
        Ok(Some((config, calibration))) => {
            finish(capture(&config).and_then(|interfaces| run(config, calibration, interfaces)))
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(fault) => finish(Err(fault)),
    }
}

/// Sets the log up and reads the configuration and the files it names; `None` when only that was asked for.
fn prepare(args: &Args) -> Result<Option<(Config, Option<SiteCalibration>)>, Fault> {
    log::init(&args.log)?;
    let config = Config::load(&args.config)?;
    let calibration = config.authentication.calibration.as_deref().map(SiteCalibration::load).transpose()?;
    if args.check_config
        && let Some(files) = config.sip.tls_files()
    {
        files.check()?;
    }
    Ok((!args.check_config).then_some((config, calibration)))
}

fn finish(outcome: Result<(), Fault>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            for line in fault.to_string().lines() {
                tracing::error!("{line}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Opens the tapped interfaces, before there is any other thread, and gives the right to away.
fn capture(config: &Config) -> Result<Interfaces, Fault> {
    let interfaces = Interfaces::open(&config.tap)?;
    if !interfaces.is_empty()
        && let Err(error) = give_up_net_raw()
    {
        tracing::warn!(%error, "CAP_NET_RAW could not be given up");
    }
    Ok(interfaces)
}

/// Starts everything, says that it is ready, and stops in order on SIGTERM or SIGINT.
#[tokio::main]
async fn run(
    config: Config,
    calibration: Option<SiteCalibration>,
    interfaces: Interfaces,
) -> Result<(), Fault> {
    files::make_room_for(config.limits.max_calls, config.api.max_connections)?;
    let config = Arc::new(config);
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), Timestamp::now().as_second()));
    let store = {
        let config = Arc::clone(&config);
        tokio::task::spawn_blocking(move || Store::open_configured(&config.store)).await??
    };
    let network = Network::load(model::BLOB)?;
    let engine = Engine::start(&engine_config(&config), network)?;
    let exchange = Exchange::new(Parts {
        config: Arc::clone(&config),
        engine,
        store: Arc::new(store),
        metrics: Arc::clone(&metrics),
        calibration,
    });
    let sip = transport::start(exchange.sip_config()).await?;
    let socket = Socket::open(&config.api.socket, &config.api.read_group)?;
    for listen in &sip.listening {
        tracing::info!(%listen, "hears SIP");
    }

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let api = Api::new(Arc::new(exchange.clone()), metrics, ApiConfig::from(&config.api));
    let api = tokio::spawn(api.serve(socket, until(stopped)));
    let watch = tokio::spawn(exchange.clone().watch_media());
    let reception = tokio::spawn(exchange.clone().receive_calls(sip));
    let runtime = tokio::runtime::Handle::current();
    let captures = Threads::start(&config, &exchange, &runtime)?;
    let tap = match interfaces.is_empty() {
        true => None,
        false => Some(interfaces.start(exchange.clone(), runtime)?),
    };
    let pulse = tokio::spawn(service::keep_alive(exchange.clone()));
    service::ready();

    let outcome = tokio::select! {
        signal = service::stop_signal() => signal.map_err(Fault::from),
        // Each of these runs for as long as the daemon does.
        ended = watch => Err(format!("the watch over the calls ended: {ended:?}").into()),
        ended = reception => Err(format!("the SIP part ended: {ended:?}").into()),
    };
    service::stopping();
    drop(tap);
    drop(captures);
    exchange.hang_up_all().await;
    pulse.abort();
    let _ = stop.send(true);
    let _ = api.await;
    outcome
}

fn engine_config(config: &Config) -> EngineConfig {
    EngineConfig {
        max_calls: config.limits.max_calls as usize,
        ports: config.sip.rtp_ports.first()..=config.sip.rtp_ports.last(),
        workers: config.voice.workers as usize,
        receivers: EngineConfig::default_receivers(config.limits.max_calls as usize),
    }
}

async fn until(mut stopped: tokio::sync::watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the daemon.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
