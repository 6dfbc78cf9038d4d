//! Time for scenes around a user agent: it passes when a step says so, and everything due happens in its order.

use std::time::{Duration, Instant};
use vouch::sip::agent::Agent;

/// A scene around an agent.
pub(crate) trait Timed {
    /// The agent, and what time it is.
    fn clock(&mut self) -> (&mut Agent, &mut Instant);

    /// Looks at what the agent did.
    fn watch(&mut self);

    /// Lets time pass.
    fn pass(&mut self, duration: Duration) {
        let until = *self.clock().1 + duration;
        let mut steps = 0;
        loop {
            let (agent, now) = self.clock();
            let Some(due) = agent.timeout().filter(|&due| due <= until) else { break };
            *now = due.max(*now);
            agent.tick(*now);
            self.watch();
            steps += 1;
            assert!(steps < 20_000, "a timer that never rests");
        }
        *self.clock().1 = until;
    }

    /// Lets time pass until something is due.
    fn pass_until_due(&mut self) {
        let (agent, now) = self.clock();
        if let Some(due) = agent.timeout() {
            let wait = due.saturating_duration_since(*now);
            self.pass(wait);
        }
    }
}
