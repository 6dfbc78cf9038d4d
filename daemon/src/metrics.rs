//! Counters, gauges and histograms, shown at `GET /metrics` as OpenMetrics text.
//!
//! Every part holds an `Arc<Metrics>` and counts in its own group. Labels are words known when the program is
//! compiled (`&'static str`), so nothing that came over a wire, and with it no personal data, can become one, and the
//! number of series is bounded. Plain counters are one atomic addition and may be used on the packet path; the
//! labelled ones take a lock and allocate a series at its first use.

use crate::capture::CaptureCounts;
use crate::engine::{EngineCounters, Traffic};
use crate::sip::counters::SipCounters;
use crate::tap::TapCounts;
use crate::verdict::{Reason, Status};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of the daemon, one group for each part.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Calls and their answers.
    pub calls: CallMetrics,
    /// SIP messages.
    pub sip: SipMetrics,
    /// Media packets.
    rtp: RtpMetrics,
    /// The tap.
    pub tap: TapMetrics,
    /// Capture devices.
    pub capture: CaptureMetrics,
    /// The voice engine.
    engine: EngineMetrics,
    /// The store.
    pub store: StoreMetrics,
    /// The socket API.
    pub api: ApiMetrics,
}

/// Calls and their answers.
#[derive(Debug)]
pub struct CallMetrics {
    /// Calls in progress.
    pub active: Gauge,
    /// Most calls at once.
    pub limit: Gauge,
    /// Calls begun, by source (`siprec`, `media-leg`, `tap`, `alsa`).
    pub started: Words,
    /// Questions to the verification service, by the status that was answered.
    pub questions: Words,
    /// Calls refused, by reason (`full`, `unknown-peer`, `no-codec`, ...).
    pub refused: Words,
    /// Answers given, by status.
    pub results: Words,
    /// Reasons named in answers.
    pub reasons: Words,
    /// Enrollments finished, by outcome (`complete`, `failed`).
    pub enrollments: Words,
    /// Gateways whose streams seem to be swapped.
    pub swapped_gateways: Gauge,
    /// Net speech behind answers.
    pub net_speech_seconds: Histogram,
}

/// Counters of ours, each with the figure that it shows.
type Mirrors<T> = Vec<(Counter, fn(&T) -> u64)>;
/// Name, help text and source of a counter.
type Figure<T> = (&'static str, &'static str, fn(&T) -> u64);

/// SIP messages, as the SIP part counts them.
#[derive(Debug)]
pub struct SipMetrics(Mirrors<SipCounters>);

/// Media packets, as the voice engine counts them.
#[derive(Debug)]
pub struct RtpMetrics(Mirrors<Traffic>);

/// The tap.
#[derive(Debug)]
pub struct TapMetrics {
    figures: Mirrors<TapCounts>,
    dropped: Counter,
}

/// Capture devices, all together.
#[derive(Debug)]
pub struct CaptureMetrics(Mirrors<CaptureCounts>);

/// The voice engine.
#[derive(Debug)]
pub struct EngineMetrics {
    embeddings: Counter,
    embed_faults: Counter,
    embed_micros: Counter,
    queued: Gauge,
    free_ports: Gauge,
}

/// The store.
#[derive(Debug)]
pub struct StoreMetrics {
    /// Speakers known.
    pub speakers: Gauge,
    /// Operations, by what they did (`read`, `write`, `delete`, `flush`).
    pub operations: Words,
    /// Failures, by reason (`io`, `damaged`, `full`, `panic`).
    pub failures: Words,
    /// Time until a write was safe on disk.
    pub write_seconds: Histogram,
}

/// The socket API.
#[derive(Debug)]
pub struct ApiMetrics {
    /// Connections open.
    pub connections: Gauge,
    /// Event streams open.
    pub event_streams: Gauge,
    /// Connections and requests refused before a route saw them, by reason (`connections`, `streams`).
    pub refused: Words,
    requests: Family<Request, Counter>,
    seconds: Histogram,
}

/// A counter for each of a few words known to the program.
#[derive(Debug)]
pub struct Words {
    label: &'static str,
    family: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Words {
    /// Counts one `word`.
    pub fn count(&self, word: &'static str) {
        self.family.get_or_create(&[(self.label, word)]).inc();
    }

    /// How often `word` was counted.
    pub fn get(&self, word: &'static str) -> u64 {
        self.family.get(&[(self.label, word)]).map_or(0, |counter| counter.get())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: String,
    method: String,
    code: u16,
}

impl Metrics {
    /// All metrics at zero, for a daemon of `version` started at `unix_seconds`.
    pub fn new(version: &'static str, unix_seconds: i64) -> Self {
        let mut registry = Registry::with_prefix("vouch");
        let start: Gauge = Gauge::default();
        start.set(unix_seconds);
        registry.register_with_unit(
            "start_time",
            "When the daemon started, in Unix time",
            Unit::Seconds,
            start,
        );
        registry.register("build", "Version of the daemon", Info::new([("version", version)]));
        Self {
            calls: CallMetrics::new(&mut Group { registry: &mut registry, prefix: "" }),
            sip: SipMetrics::new(&mut Group { registry: &mut registry, prefix: "sip_" }),
            rtp: RtpMetrics::new(&mut Group { registry: &mut registry, prefix: "rtp_" }),
            tap: TapMetrics::new(&mut Group { registry: &mut registry, prefix: "tap_" }),
            capture: CaptureMetrics::new(&mut Group { registry: &mut registry, prefix: "capture_" }),
            engine: EngineMetrics::new(&mut Group { registry: &mut registry, prefix: "engine_" }),
            store: StoreMetrics::new(&mut Group { registry: &mut registry, prefix: "store_" }),
            api: ApiMetrics::new(&mut Group { registry: &mut registry, prefix: "api_" }),
            registry,
        }
    }

    /// Takes over what the voice engine has counted.
    pub fn mirror(&self, counted: &EngineCounters) {
        self.engine.mirror(counted);
        self.rtp.mirror(&counted.traffic);
        self.calls.active.set(counted.calls as i64);
        self.calls.limit.set(counted.max_calls as i64);
    }

    /// The OpenMetrics text of all metrics.
    pub fn render(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            // Writing into a String cannot fail, and no metric here refuses its encoding.
            Err(std::fmt::Error) => "# EOF\n".to_owned(),
        }
    }
}

impl CallMetrics {
    /// Counts an answer and what it names as its reasons.
    pub fn answer(&self, status: Status, reasons: &[Reason], net_speech_s: f32) {
        self.results.count(status.as_str());
        for reason in reasons {
            self.reasons.count(reason.as_str());
        }
        self.net_speech_seconds.observe(f64::from(net_speech_s));
    }

    fn new(group: &mut Group<'_>) -> Self {
        Self {
            active: group.gauge("calls", "Calls in progress"),
            limit: group.gauge("calls_limit", "Most calls at once"),
            started: group.words("calls_started", "Calls begun", "source"),
            questions: group.words("questions", "Questions to the verification service", "status"),
            refused: group.words("calls_refused", "Calls refused", "reason"),
            results: group.words("results", "Answers given", "status"),
            reasons: group.words("result_reasons", "Reasons named in answers", "reason"),
            enrollments: group.words("enrollments", "Enrollments finished", "outcome"),
            swapped_gateways: group.gauge("swapped_gateways", "Gateways whose streams seem to be swapped"),
            net_speech_seconds: group.seconds("result_net_speech", "Net speech behind answers", 0.5),
        }
    }
}

impl SipMetrics {
    /// Takes over what the SIP part has counted.
    pub fn mirror(&self, counted: &SipCounters) {
        for (counter, figure) in &self.0 {
            counter.inner().store(figure(counted), Ordering::Relaxed);
        }
    }

    fn new(group: &mut Group<'_>) -> Self {
        let figures: [Figure<SipCounters>; 15] = [
            ("received", "SIP messages received", |c| c.received.get()),
            ("sent", "SIP messages sent", |c| c.sent.get()),
            ("malformed", "Messages that were no SIP", |c| c.malformed.get()),
            ("refused_peers", "Messages of peers that are not configured", |c| c.refused_peers.get()),
            ("refused_full", "Requests refused because all room is taken", |c| c.refused_full.get()),
            ("refused_requests", "Requests refused for what they asked", |c| c.refused_requests.get()),
            ("absorbed", "Retransmissions of peers", |c| c.absorbed.get()),
            ("resent", "SIP messages sent again", |c| c.resent.get()),
            ("stray", "ACKs and responses that belong to nothing", |c| c.stray.get()),
            ("timeouts", "Transactions that the peer never completed", |c| c.timeouts.get()),
            ("send_failures", "SIP messages that could not be sent", |c| c.send_failures.get()),
            ("refused_connections", "Connections refused because all are in use", |c| {
                c.refused_connections.get()
            }),
            ("closed_for_room", "Idle connections closed to make room for new ones", |c| {
                c.closed_for_room.get()
            }),
            ("unfinished", "Connections closed because a message did not end in time", |c| {
                c.unfinished.get()
            }),
            ("failed_handshakes", "TLS handshakes that failed", |c| c.failed_handshakes.get()),
        ];
        Self(figures.into_iter().map(|(name, help, figure)| (group.counter(name, help), figure)).collect())
    }
}

impl RtpMetrics {
    fn mirror(&self, counted: &Traffic) {
        for (counter, figure) in &self.0 {
            counter.inner().store(figure(counted), Ordering::Relaxed);
        }
    }

    fn new(group: &mut Group<'_>) -> Self {
        let figures: [Figure<Traffic>; 13] = [
            ("packets", "RTP packets taken", |t| t.packets),
            ("unheard", "RTP packets not heard: other leg, on hold, opted out", |t| t.unheard),
            ("unsupported", "RTP packets of codecs that are not decoded", |t| t.unsupported),
            ("rtcp_packets", "RTCP packets", |t| t.rtcp),
            ("wrong_source", "Datagrams from an address that was not signalled", |t| t.wrong_source),
            ("malformed", "Datagrams that are neither RTP nor RTCP", |t| t.malformed),
            ("unauthentic", "SRTP packets that the agreed key does not authenticate", |t| t.unauthentic),
            ("replayed", "SRTP packets that came before", |t| t.replayed),
            ("dropped_by_kernel", "Packets that the kernel dropped because vouchd was late", |t| {
                t.dropped_by_kernel
            }),
            ("socket_errors", "Errors of media sockets", |t| t.socket_errors),
            ("lost", "Packets missing when their time came", |t| t.jitter.lost),
            ("late", "Packets that came after their time", |t| t.jitter.late),
            ("duplicates", "Packets that came twice", |t| t.jitter.duplicates),
        ];
        Self(figures.into_iter().map(|(name, help, figure)| (group.counter(name, help), figure)).collect())
    }
}

impl TapMetrics {
    /// Takes over what the tap has counted, and what its interfaces dropped.
    pub fn mirror(&self, counted: &TapCounts, dropped: u64) {
        for (counter, figure) in &self.figures {
            counter.inner().store(figure(counted), Ordering::Relaxed);
        }
        self.dropped.inner().store(dropped, Ordering::Relaxed);
    }

    fn new(group: &mut Group<'_>) -> Self {
        let figures: [Figure<TapCounts>; 13] = [
            ("frames", "Frames taken from the tapped interfaces", |t| t.frames),
            ("duplicates", "Packets that a mirror port showed twice", |t| t.duplicates),
            ("cut", "Packets captured only in part", |t| t.cut),
            ("other", "Frames of which nothing could be made", |t| t.other),
            ("reassembled", "Datagrams put together from fragments", |t| t.reassembled),
            ("incomplete", "Datagrams with missing or overlapping fragments", |t| t.incomplete),
            ("missed_bytes", "Bytes of SIP over TCP that the tap never saw", |t| t.missed_bytes),
            ("sip_messages", "SIP messages overheard", |t| t.sip),
            ("sip_malformed", "Overheard messages that cannot be read", |t| t.malformed),
            ("calls_refused", "Calls not followed because too many go on", |t| t.refused),
            ("media_packets", "Packets of calls overheard", |t| t.media),
            ("other_hops", "RTP packets of calls on further hops", |t| t.other_hops),
            ("unmatched", "RTP packets of no known call", |t| t.unmatched),
        ];
        Self {
            figures: figures
                .into_iter()
                .map(|(name, help, figure)| (group.counter(name, help), figure))
                .collect(),
            dropped: group.counter("dropped", "Frames that the kernel dropped because vouchd was late"),
        }
    }
}

impl CaptureMetrics {
    /// Takes over what the capture devices have counted.
    pub fn mirror(&self, counted: &CaptureCounts) {
        for (counter, figure) in &self.0 {
            counter.inner().store(figure(counted), Ordering::Relaxed);
        }
    }

    fn new(group: &mut Group<'_>) -> Self {
        let figures: [Figure<CaptureCounts>; 6] = [
            ("opened", "Attempts to open a capture device", |c| c.opened),
            ("open_failures", "Attempts to open a capture device that failed", |c| c.open_failures),
            ("unplugged", "Times that a capture device failed while in use", |c| c.unplugged),
            ("overruns", "Times that audio was lost because vouchd was late (xruns)", |c| c.overruns),
            ("lost_milliseconds", "Audio of calls on capture devices that was lost", |c| {
                c.lost.as_millis() as u64
            }),
            ("milliseconds", "Audio that capture devices gave", |c| c.heard.as_millis() as u64),
        ];
        Self(figures.into_iter().map(|(name, help, figure)| (group.counter(name, help), figure)).collect())
    }
}

impl EngineMetrics {
    fn mirror(&self, counted: &EngineCounters) {
        self.embeddings.inner().store(counted.embeddings, Ordering::Relaxed);
        self.embed_faults.inner().store(counted.embed_faults, Ordering::Relaxed);
        let micros = u64::try_from(counted.embed_time.as_micros()).unwrap_or(u64::MAX);
        self.embed_micros.inner().store(micros, Ordering::Relaxed);
        self.queued.set(counted.queued as i64);
        self.free_ports.set(counted.free_ports as i64);
    }

    fn new(group: &mut Group<'_>) -> Self {
        Self {
            embeddings: group.counter("embeddings", "Embeddings made or tried"),
            embed_faults: group.counter("embed_faults", "Embeddings that failed"),
            embed_micros: group.counter("embed_microseconds", "Time spent on embeddings"),
            queued: group.gauge("queued", "Embeddings asked for and not begun"),
            free_ports: group.gauge("free_ports", "Pairs of ports for further streams"),
        }
    }
}

impl StoreMetrics {
    fn new(group: &mut Group<'_>) -> Self {
        Self {
            speakers: group.gauge("speakers", "Speakers known"),
            operations: group.words("operations", "Operations of the store", "operation"),
            failures: group.words("failures", "Failures of the store", "reason"),
            write_seconds: group.seconds("write", "Time until a write was safe on disk", 0.0005),
        }
    }
}

impl ApiMetrics {
    /// Counts a request answered with `code` after `took`.
    ///
    /// `route` is the pattern that matched, never the path that was asked for.
    pub fn request(&self, route: &str, method: &str, code: u16, took: Duration) {
        let request = Request { route: route.to_owned(), method: method.to_owned(), code };
        self.requests.get_or_create(&request).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    fn new(group: &mut Group<'_>) -> Self {
        let requests = Family::default();
        group.register("requests", "Requests answered", requests.clone());
        Self {
            connections: group.gauge("connections", "Connections open"),
            event_streams: group.gauge("event_streams", "Event streams open"),
            refused: group.words("refused", "Refused before a route saw it", "reason"),
            requests,
            seconds: group.seconds("request", "Time until an answer began", 0.0005),
        }
    }
}

/// Registers metrics under one prefix.
struct Group<'a> {
    registry: &'a mut Registry,
    prefix: &'static str,
}

impl Group<'_> {
    fn register<M: prometheus_client::registry::Metric>(&mut self, name: &str, help: &str, metric: M) {
        self.registry.register(format!("{}{name}", self.prefix), help, metric);
    }

    fn counter(&mut self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.register(name, help, counter.clone());
        counter
    }

    fn gauge(&mut self, name: &str, help: &str) -> Gauge {
        let gauge = Gauge::default();
        self.register(name, help, gauge.clone());
        gauge
    }

    fn words(&mut self, name: &str, help: &str, label: &'static str) -> Words {
        let family = Family::default();
        self.register(name, help, family.clone());
        Words { label, family }
    }

    /// A histogram of twelve buckets, each twice as wide as the one before; the first ends at `first` seconds.
    fn seconds(&mut self, name: &str, help: &str, first: f64) -> Histogram {
        let histogram = Histogram::new(exponential_buckets(first, 2.0, 12));
        let name = format!("{}{name}", self.prefix);
        self.registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_counted_is_shown() {
        let metrics = Metrics::new("1.2.3", 1_700_000_000);
        metrics.calls.active.set(3);
        metrics.calls.answer(Status::Inconclusive, &[Reason::TooLittleSpeech, Reason::LowSnr], 4.0);
        let sip = SipCounters::default();
        sip.received.add();
        metrics.sip.mirror(&sip);
        metrics.rtp.mirror(&Traffic { packets: 50, ..Traffic::default() });
        metrics.store.failures.count("damaged");
        metrics.api.request("/v1/calls/{id}", "GET", 404, Duration::from_millis(3));
        let text = metrics.render();
        for line in [
            "vouch_start_time_seconds 1700000000",
            "vouch_build_info{version=\"1.2.3\"} 1",
            "vouch_calls 3",
            "vouch_results_total{status=\"inconclusive\"} 1",
            "vouch_result_reasons_total{reason=\"too-little-speech\"} 1",
            "vouch_result_net_speech_seconds_count 1",
            "vouch_sip_received_total 1",
            "vouch_rtp_packets_total 50",
            "vouch_engine_embeddings_total 0",
            "vouch_store_failures_total{reason=\"damaged\"} 1",
            "vouch_api_requests_total{route=\"/v1/calls/{id}\",method=\"GET\",code=\"404\"} 1",
            "vouch_api_request_seconds_count 1",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is missing in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
        assert_eq!(metrics.calls.results.get("inconclusive"), 1);
        assert_eq!(metrics.calls.results.get("pending"), 0);
    }

    #[test]
    fn no_two_metrics_share_a_name() {
        let text = Metrics::new("0", 0).render();
        let mut names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let shown = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), shown);
        assert!(shown > 20, "every group is registered");
    }
}
