//! `vouchctl capacity`: how many calls this box carries, measured on it.
