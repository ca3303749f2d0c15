//! What memory there is. Planning what goes where stands on top of it.

pub mod probe;
