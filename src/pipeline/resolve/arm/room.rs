//! Whether several tasks find weights of their own.

use super::combine::{ROUNDING, outside};
use crate::pipeline::reader::{Findings, Section};
use crate::pipeline::settings::{Arm, Ticket, Train};

/// Checks that as many shares as there are tasks, none of which may meet another, lie where the arm trains; what one task alone asks
/// for is checked elsewhere. Layers, and tickets of files, are known only to the run, which checks the same.
pub(super) fn check_room(section: &Section<'_>, arm: &Arm, tasks: usize, tickets: &[Ticket], findings: &mut Findings) {
    let Some(density) = arm.density.filter(|_| tasks > 1) else { return };
    let (room, place) = match arm.train {
        Train::Random => (1.0, "there are".to_owned()),
        Train::Complement => match outside(arm, tickets) {
            Some((ticket, outside)) => (outside, format!("lie outside ticket {ticket:?}")),
            None => return,
        },
        _ => return,
    };
    let all = density * tasks as f64;
    if density > room + ROUNDING || all <= room + ROUNDING {
        return;
    }
    let path = section.path.as_str();
    let message = format!(
        "{path} trains another {:.1} % of maskable in each of {tasks} tasks, {:.1} % in all, and only {:.1} % {place}",
        density * 100.0,
        all * 100.0,
        room * 100.0
    );
    // Rounded down, so that it fits.
    let fits = (room / tasks as f64 * 1000.0 + ROUNDING).floor() / 1000.0;
    let remedy = format!("write density: {fits:.3} or less, make the ticket smaller, or leave tasks out");
    findings.problem(section.place_of("density"), &section.join("density"), message, Some(remedy));
}
