//! End-to-end tests: the real daemon, real SIP clients, real voices. One scenario a file.

mod a_bad_line_changes_no_decision;
mod a_caller_is_replaced;
mod a_capture_tells_what_it_lacks;
mod a_gateway_asks_and_is_told;
mod a_hold_is_not_the_caller;
mod a_recording_in_a_foreign_codec_is_inconclusive;
mod a_replay_decides_as_the_live_call;
mod a_tap_hears_calls_on_an_interface;
mod a_telephone_that_speaks_amr_is_verified;
mod five_callers_over_a_plain_leg;
mod five_callers_over_siprec;
mod floods;
mod g722_and_opus_against_an_enrollment_over_g711;
mod garbage_and_strangers;
mod hardware_phones_over_alsa;
mod kamailio_in_front_of_a_pbx;
mod kamailio_over_tls;
mod loss_made_by_the_kernel_changes_no_decision;
mod nothing_acknowledged_is_lost;
mod nothing_personal_is_logged;
mod secured_calls;
mod silent_peers_keep_nobody_out;
mod slow_tls_peers_disturb_no_call;
mod swapped_streams_are_noticed;
mod two_hundred_calls_at_once;
