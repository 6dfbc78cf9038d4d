//! End-to-end tests: the real daemon, real SIP clients, real voices. One scenario a file.

mod a_bad_line_changes_no_decision;
mod a_hold_is_not_the_caller;
mod five_callers_over_a_plain_leg;
mod five_callers_over_siprec;
mod floods;
mod garbage_and_strangers;
mod nothing_acknowledged_is_lost;
mod nothing_personal_is_logged;
mod secured_calls;
