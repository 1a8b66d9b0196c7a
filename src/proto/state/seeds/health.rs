//! Whether a seed is in reach.

#[cfg(test)]
mod tests;

/// Whether a seed is in reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::proto::state) enum Health {
    /// It was never heard: nobody misses it.
    Unheard,
    /// Its beacons come, or it is a peer. If that ends, it is missed.
    Heard,
    /// Its beacons are missed: it is dialled, and has been so many times.
    Suspected {
        /// How often.
        dials: u32,
    },
    /// It cannot be reached, and the application was told of the netsplit.
    Lost {
        /// How often it was dialled; `None` for a seed that is only pinged.
        dials: Option<u32>,
    },
}

impl Health {
    /// Whether it is dialled until it answers.
    pub(in crate::proto::state) fn is_suspected(self) -> bool {
        matches!(self, Self::Suspected { .. } | Self::Lost { dials: Some(_) })
    }

    /// Whether the application was told of a netsplit.
    pub(in crate::proto::state) fn is_lost(self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Whether it is missed as soon as it is not heard.
    pub(super) fn is_watched(self) -> bool {
        !matches!(self, Self::Unheard | Self::Lost { dials: None })
    }

    /// How often it was dialled since it is suspected.
    pub(super) fn dials(self) -> u32 {
        match self {
            Self::Suspected { dials } | Self::Lost { dials: Some(dials) } => dials,
            Self::Unheard | Self::Heard | Self::Lost { dials: None } => 0,
        }
    }

    /// The same after one more dial.
    pub(super) fn dialled(self) -> Self {
        let dials = self.dials().saturating_add(1);
        match self {
            Self::Lost { dials: Some(_) } => Self::Lost { dials: Some(dials) },
            Self::Suspected { .. } => Self::Suspected { dials },
            other => other,
        }
    }

    /// The same once it cannot be reached.
    pub(super) fn lost(self) -> Self {
        match self {
            Self::Unheard => Self::Lost { dials: None },
            Self::Heard => Self::Lost { dials: Some(0) },
            Self::Suspected { dials } => Self::Lost { dials: Some(dials) },
            lost @ Self::Lost { .. } => lost,
        }
    }

    /// The same once it has answered.
    pub(super) fn answered(self) -> Self {
        match self.is_watched() {
            true => Self::Heard,
            false => Self::Unheard,
        }
    }
}
