//! Whether a seed is reachable.

#[cfg(test)]
mod tests;

/// Whether a seed is reachable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::proto::state) enum Health {
    /// This node has never heard it, so does not miss it.
    Unheard,
    /// This node hears it, or has it as a peer. Silence makes it suspected.
    Heard,
    /// Its beacons are missing: this node dials it.
    Suspected {
        /// Dials so far.
        dials: u32,
    },
    /// It is unreachable, and the application knows of the netsplit.
    Lost {
        /// Dials so far; `None` for a seed that is only pinged.
        dials: Option<u32>,
    },
}

impl Health {
    /// Whether it is dialled until it answers.
    pub(in crate::proto::state) fn is_suspected(self) -> bool {
        matches!(self, Self::Suspected { .. } | Self::Lost { dials: Some(_) })
    }

    /// Whether the application knows of a netsplit.
    pub(in crate::proto::state) fn is_lost(self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Whether silence of the seed counts.
    pub(super) fn is_watched(self) -> bool {
        !matches!(self, Self::Unheard | Self::Lost { dials: None })
    }

    /// Dials since it is suspected.
    pub(super) fn dials(self) -> u32 {
        match self {
            Self::Suspected { dials } | Self::Lost { dials: Some(dials) } => dials,
            Self::Unheard | Self::Heard | Self::Lost { dials: None } => 0,
        }
    }

    /// The health after another dial.
    pub(super) fn dialled(self) -> Self {
        let dials = self.dials().saturating_add(1);
        match self {
            Self::Lost { dials: Some(_) } => Self::Lost { dials: Some(dials) },
            Self::Suspected { .. } => Self::Suspected { dials },
            other => other,
        }
    }

    /// The health once it is unreachable.
    pub(super) fn lost(self) -> Self {
        match self {
            Self::Unheard => Self::Lost { dials: None },
            Self::Heard => Self::Lost { dials: Some(0) },
            Self::Suspected { dials } => Self::Lost { dials: Some(dials) },
            lost @ Self::Lost { .. } => lost,
        }
    }

    /// The health once it has answered.
    pub(super) fn answered(self) -> Self {
        match self.is_watched() {
            true => Self::Heard,
            false => Self::Unheard,
        }
    }
}
