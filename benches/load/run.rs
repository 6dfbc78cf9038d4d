//! One run: the calls are placed, measured, and hung up.

use crate::cast::{Cast, Part};
use crate::daemon::{Daemon, Usage};
use common::crowd::{Gateway, Media, Stream};
use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

/// Longest wait for the decisions.
const DECISIONS: Duration = Duration::from_secs(600);
/// Samples of the memory in a soak.
const SAMPLES: u32 = 20;
/// Packets of a call in a second: two streams, 20 ms each.
const PACKETS_PER_CALL: f64 = 100.0;
/// Most packets that may be lost by us, as a share.
const LOSS_BOUND: f64 = 0.001;

/// What is to be run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) calls: usize,
    /// Calls placed in a second.
    pub(crate) rate: u32,
    /// Time that is measured.
    pub(crate) window: Duration,
    /// Whether the time is measured from the last call on, with samples of the memory.
    pub(crate) soak: bool,
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct Report {
    plan: Plan,
    sent: u64,
    taken: u64,
    dropped: u64,
    /// Of the window, as shares of one core: vouchd, of that receiving and embedding, and this program.
    shares: [f64; 4],
    idle: u64,
    memory: Vec<(Duration, u64)>,
    right: usize,
    answers: HashMap<String, usize>,
    pushed: usize,
    embed_ms: f64,
    decided_after: Duration,
    /// Packets sent in the window, as a share of those due.
    pace: f64,
    latest_ms: u64,
    others: f64,
    log: String,
}

/// Runs `plan`; `None` where the voices are not installed.
pub(crate) fn run(cast: &Cast, plan: Plan) -> Option<Report> {
    let daemon = Daemon::start(plan.calls);
    cast.enroll(&daemon)?;
    let mut report = Report::new(plan, daemon.usage().resident);
    let before = daemon.metric("vouch_engine_embed_microseconds_total");

    let mut gateway = Gateway::new(daemon.sip_port());
    let mut media = Media::start();
    let parts: Vec<Part> = (0..plan.calls).map(|number| cast.part(number)).collect();
    place(&mut gateway, &media, &parts, plan.rate);
    let placed = Instant::now();
    if !plan.soak {
        await_decisions(&daemon, &mut gateway, plan.calls);
        report.decided_after = placed.elapsed();
    }
    report.measure(&daemon, &mut gateway, &media);

    report.latest_ms = media.take_latest_ms();
    media.stop();
    gateway.attend(Instant::now() + Duration::from_secs(2));
    report.sent = media.sent();
    report.taken = daemon.metric("vouch_rtp_packets_total");
    report.dropped = daemon.metric("vouch_rtp_dropped_by_kernel_total");
    let embeddings = daemon.metric("vouch_engine_embeddings_total").max(1);
    let micros = daemon.metric("vouch_engine_embed_microseconds_total") - before;
    report.embed_ms = micros as f64 / 1e3 / embeddings as f64;
    report.judge(&daemon, &gateway, &parts);
    gateway.hang_up();
    report.log = daemon.log();
    Some(report)
}

/// Places all calls at an even rate, each talking at once.
fn place(gateway: &mut Gateway, media: &Media, parts: &[Part], rate: u32) {
    let start = Instant::now();
    for (part, number) in parts.iter().zip(0_u32..) {
        gateway.attend(start + Duration::from_secs(1) * number / rate);
        let targets = gateway.place(part.claim, media.port());
        for ((target, talk), side) in targets.into_iter().zip(&part.talks).zip(0..) {
            media.add(Stream { target, ssrc: number * 2 + side, talk: talk.clone(), from: part.from });
        }
    }
}

/// Waits until every call has a final answer, or long enough.
fn await_decisions(daemon: &Daemon, gateway: &mut Gateway, calls: usize) {
    let deadline = Instant::now() + DECISIONS;
    while Instant::now() < deadline {
        let open = |status: &str| matches!(status, "pending");
        let all = daemon.calls();
        let decided = all.iter().filter_map(|call| call["result"]["status"].as_str()).filter(|s| !open(s));
        if decided.count() >= calls {
            return;
        }
        gateway.attend(Instant::now() + Duration::from_secs(2));
    }
}

impl Report {
    fn new(plan: Plan, idle: u64) -> Self {
        Self {
            plan,
            sent: 0,
            taken: 0,
            dropped: 0,
            shares: [0.0; 4],
            idle,
            memory: Vec::new(),
            right: 0,
            answers: HashMap::new(),
            pushed: 0,
            embed_ms: 0.0,
            decided_after: Duration::ZERO,
            pace: 0.0,
            latest_ms: 0,
            others: 0.0,
            log: String::new(),
        }
    }

    /// Whether packets and answers are as they should be.
    pub(crate) fn is_well(&self) -> bool {
        self.lost() <= LOSS_BOUND
    }

    /// Measures for the time of the plan.
    fn measure(&mut self, daemon: &Daemon, gateway: &mut Gateway, media: &Media) {
        let own = std::process::id();
        let start = Instant::now();
        media.take_latest_ms();
        let sent_before = media.sent();
        let (before, own_before, machine_before) = (daemon.usage(), Usage::of(own), machine_s());
        let samples = if self.plan.soak { SAMPLES } else { 2 };
        self.memory.push((Duration::ZERO, before.resident));
        for sample in 1..=samples {
            gateway.attend(start + self.plan.window * sample / samples);
            self.memory.push((start.elapsed(), daemon.usage().resident));
        }
        let seconds = start.elapsed().as_secs_f64();
        self.pace =
            (media.sent() - sent_before) as f64 / (self.plan.calls as f64 * PACKETS_PER_CALL * seconds);
        let (after, own_after) = (daemon.usage(), Usage::of(own));
        self.shares = [
            after.cpu_s - before.cpu_s,
            after.media_s - before.media_s,
            after.embed_s - before.embed_s,
            own_after.cpu_s - own_before.cpu_s,
        ]
        .map(|used| used / seconds);
        self.others = (machine_s() - machine_before) / seconds - self.shares[0] - self.shares[3];
    }

    /// Compares the answers with what they should be.
    fn judge(&mut self, daemon: &Daemon, gateway: &Gateway, parts: &[Part]) {
        let answered: HashMap<String, String> = daemon
            .calls()
            .iter()
            .filter_map(|call| {
                let status = call["result"]["status"].as_str()?;
                Some((call["sip_call_id"].as_str()?.to_owned(), status.to_owned()))
            })
            .collect();
        for (number, part) in parts.iter().enumerate() {
            let call_id = gateway.call_id(number);
            let status = answered.get(call_id).map_or("missing", String::as_str);
            self.right += usize::from(status == part.expected);
            *self.answers.entry(status.to_owned()).or_default() += 1;
            self.pushed += usize::from(gateway.pushed(call_id) == Some(status));
        }
    }

    fn lost(&self) -> f64 {
        1.0 - self.taken as f64 / self.sent.max(1) as f64
    }
}

/// Processor time that the whole machine has used, in seconds.
fn machine_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    // user, nice, system; then idle and waiting, which are not used time; then interrupts.
    let ticks: Vec<f64> =
        stat.lines().next().unwrap_or("").split_whitespace().skip(1).map_while(|t| t.parse().ok()).collect();
    let used = |places: &[usize]| places.iter().filter_map(|&place| ticks.get(place)).sum::<f64>();
    used(&[0, 1, 2, 5, 6]) / 100.0
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: f64 = 1024.0 * 1024.0;
        let [vouchd, media, embed, own] = self.shares.map(|share| share * 100.0);
        let Plan { calls, window, .. } = self.plan;
        writeln!(f, "calls {calls}, measured for {} s", window.as_secs())?;
        writeln!(
            f,
            "  packets    {} sent, {} taken, {:.4} % lost by us, {} dropped by the kernel",
            self.sent,
            self.taken,
            self.lost() * 100.0,
            self.dropped
        )?;
        writeln!(
            f,
            "  processor  vouchd {vouchd:.1} % of a core (receiving {media:.1}, embedding {embed:.1}, rest {:.1}), \
             generator {own:.1} %, others {:.1} %",
            vouchd - media - embed,
            self.others * 100.0,
        )?;
        let last = self.memory.last().map_or(0, |(_, resident)| *resident);
        writeln!(
            f,
            "  pace       {:.1} % of real time, a packet at most {} ms late",
            self.pace * 100.0,
            self.latest_ms
        )?;
        write!(f, "  memory     {:.1} MiB without calls; with them", self.idle as f64 / MIB)?;
        for (at, resident) in &self.memory {
            write!(f, ", {} s {:.1}", at.as_secs(), *resident as f64 / MIB)?;
        }
        writeln!(
            f,
            " MiB; {:.0} KiB a call",
            (last.saturating_sub(self.idle)) as f64 / 1024.0 / calls as f64
        )?;
        writeln!(
            f,
            "  answers    {} of {calls} right, {} pushed; {:?}",
            self.right, self.pushed, self.answers
        )?;
        write!(f, "  embedding  {:.0} ms each", self.embed_ms)?;
        if !self.plan.soak {
            write!(f, "; all decided {} s after the last call began", self.decided_after.as_secs())?;
        }
        if !self.log.is_empty() {
            write!(f, "\n  log        {}", self.log.trim_end().replace('\n', "\n             "))?;
        }
        Ok(())
    }
}
