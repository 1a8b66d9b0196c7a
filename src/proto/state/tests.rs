//! Behaviour of the state machine, exact inputs and outputs.
