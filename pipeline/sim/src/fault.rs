//! What may go wrong with a call of a port, and how often it does.

use std::fmt;

use crate::random::Seeded;

macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$about:meta])* $variant:ident $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$about])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As it is shown.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

named! {
    /// What a call is about. Updates of items are told apart by what they are for.
    Call {
        /// `Queue::send`
        Send "send",
        /// `Queue::receive`
        Receive "receive",
        /// `Queue::extend`
        Extend "extend",
        /// `Queue::release`
        Release "release",
        /// `Queue::ack`
        Ack "ack",
        /// `Queue::dead_letter`
        DeadLetter "dead-letter",
        /// `Queue::depth`
        Depth "depth",
        /// `ArtifactStore::publish`
        Publish "publish",
        /// `ArtifactStore::fetch`
        Fetch "fetch",
        /// `ArtifactStore::size_bytes`
        SizeBytes "size-bytes",
        /// `RunStore::create`
        Create "create",
        /// `RunStore::load`
        Load "load",
        /// `RunStore::load_branches`
        LoadBranches "load-branches",
        /// `RunStore::open_runs`
        OpenRuns "open-runs",
        /// `RunStore::server_time`
        ServerTime "server-time",
        /// `RunStore::apply` of a claim
        Claim "apply claim",
        /// `RunStore::apply` of a renewal
        Renew "apply renew",
        /// `RunStore::apply` of a commit
        Commit "apply commit",
        /// `RunStore::apply` of a commit that registers
        Register "apply register",
        /// `RunStore::apply` of a failure with another attempt after it
        LetGo "apply let-go",
        /// `RunStore::apply` of a failure for good
        Fail "apply fail",
        /// `RunStore::apply` of a move to a larger class
        Escalate "apply escalate",
        /// `RunStore::apply` of a branch that joins
        Join "apply join",
        /// `RunStore::apply` of a fan-out's end
        FanIn "apply fan-in",
        /// `RunStore::apply` of a run's end by a person or a deadline
        End "apply end",
        /// `RunStore::apply` of the sweeper's next look
        Look "apply look",
        /// `RunStore::apply` of anything else
        Other "apply other",
        /// `Fleet::announce`
        Announce "announce",
        /// `Fleet::leave`
        LeaveFleet "leave-fleet",
        /// `Fleet::pauses`
        Pauses "pauses",
        /// `Pipelines::get`
        GetPipeline "get-pipeline",
        /// `Pipelines::list`
        ListPipelines "list-pipelines",
        /// `Pipelines::enter`
        Enter "enter",
        /// `Pipelines::leave`
        LeavePlace "leave-place",
        /// Any other call: no worker makes it
        Rare "rare",
    }
}

named! {
    /// What becomes of a call.
    Fault {
        /// It is not applied, and the caller is told so.
        Refused "refused",
        /// It is not applied: there were too many.
        Throttled "throttled",
        /// It is applied, and the caller is told that it failed.
        Unanswered "unanswered",
        /// The caller is told that it failed, and it is applied later, while the caller may do something else.
        Late "late",
        /// The caller's process dies before it is applied.
        DiesBefore "dies-before",
        /// The caller's process dies after it was applied, before it hears of that.
        DiesAfter "dies-after",
        /// The caller's process is frozen for longer than a lease before it is applied.
        FrozenBefore "frozen-before",
        /// The caller's process is frozen for longer than a lease after it was applied.
        FrozenAfter "frozen-after",
        /// The message vanishes: the caller is told that it was sent, or is given it and the queue has it no more.
        Vanishes "vanishes",
        /// The message comes twice.
        Doubled "doubled",
        /// The message comes late.
        Delayed "delayed",
        /// One of the messages of a batch is not sent.
        Partial "partial",
        /// The disk is full.
        DiskFull "disk-full",
        /// What an index says is old.
        Stale "stale",
    }
}

impl Call {
    /// True if it changes something.
    fn writes(self) -> bool {
        !matches!(
            self,
            Self::Depth
                | Self::Fetch
                | Self::SizeBytes
                | Self::Load
                | Self::LoadBranches
                | Self::OpenRuns
                | Self::ServerTime
                | Self::Pauses
                | Self::GetPipeline
                | Self::ListPipelines
        )
    }

    /// How much more often something becomes of it than of others: what is rarely called would rarely fail.
    fn weight(self) -> u64 {
        match self {
            Self::Receive
            | Self::Depth
            | Self::OpenRuns
            | Self::ServerTime
            | Self::Announce
            | Self::Pauses => 1,
            Self::Send
            | Self::Extend
            | Self::Release
            | Self::Ack
            | Self::Publish
            | Self::Fetch
            | Self::SizeBytes
            | Self::Create
            | Self::Load
            | Self::Claim
            | Self::Renew
            | Self::Commit
            | Self::LetGo
            | Self::Rare => 2,
            Self::DeadLetter
            | Self::LoadBranches
            | Self::Register
            | Self::Fail
            | Self::Join
            | Self::LeaveFleet
            | Self::GetPipeline
            | Self::ListPipelines
            | Self::Enter
            | Self::End
            | Self::Look => 4,
            Self::Escalate | Self::FanIn | Self::Other | Self::LeavePlace => 8,
        }
    }

    /// True if that can become of it.
    pub fn may(self, fault: Fault) -> bool {
        match fault {
            Fault::Refused | Fault::Throttled | Fault::DiesBefore | Fault::FrozenBefore => self != Self::Rare,
            Fault::FrozenAfter => self != Self::Rare,
            Fault::Unanswered | Fault::DiesAfter => self.writes() && self != Self::Rare,
            // A receive that is applied late is one whose answer was lost.
            Fault::Late => self.writes() && !matches!(self, Self::Rare | Self::Receive),
            Fault::Vanishes => matches!(self, Self::Send | Self::Receive),
            Fault::Doubled | Fault::Delayed | Fault::Partial => self == Self::Send,
            Fault::DiskFull => matches!(self, Self::Publish | Self::Fetch),
            Fault::Stale => self == Self::OpenRuns,
        }
    }
}

/// How often what goes wrong, in calls of ten thousand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weather([u64; Fault::ALL.len()]);

const OF: u64 = 10_000;

impl Weather {
    /// Nothing goes wrong.
    pub const FAIR: Self = Self([0; Fault::ALL.len()]);

    /// What `seeded` makes of it: some kinds of faults, each more or less often.
    pub fn drawn(seeded: &Seeded) -> Self {
        let strength = *seeded.pick(&[50, 200, 600, 1_500]);
        let mut weather = Self::FAIR;
        for fault in Fault::ALL {
            // A world in which everything goes wrong at once hides what goes wrong when only one thing does.
            if seeded.chance(3, 5) {
                let most = match fault {
                    // They end or stop a whole process.
                    Fault::DiesBefore | Fault::DiesAfter | Fault::FrozenBefore | Fault::FrozenAfter => {
                        strength / 3
                    }
                    _ => strength,
                };
                weather.0[*fault as usize] = seeded.between(1, most);
            }
        }
        weather
    }

    /// The same without that kind of fault.
    #[must_use]
    pub fn without(mut self, fault: Fault) -> Self {
        self.0[fault as usize] = 0;
        self
    }

    /// What becomes of the call, if anything but what ought to.
    pub fn draw(&self, call: Call, seeded: &Seeded) -> Option<Fault> {
        let mut at = seeded.below(OF / call.weight());
        for fault in Fault::ALL.iter().filter(|fault| call.may(**fault)) {
            let weight = self.0[*fault as usize];
            if at < weight {
                return Some(*fault);
            }
            at -= weight;
        }
        None
    }
}

/// How often each call was made, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    calls: [u64; Call::ALL.len()],
    faults: [[u64; Fault::ALL.len()]; Call::ALL.len()],
}

impl Default for Coverage {
    fn default() -> Self {
        Self {
            calls: [0; Call::ALL.len()],
            faults: [[0; Fault::ALL.len()]; Call::ALL.len()],
        }
    }
}

impl Coverage {
    pub(crate) fn count(&mut self, call: Call, fault: Option<Fault>) {
        self.calls[call as usize] += 1;
        if let Some(fault) = fault {
            self.faults[call as usize][fault as usize] += 1;
        }
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        for call in Call::ALL {
            self.calls[*call as usize] += other.calls[*call as usize];
            for fault in Fault::ALL {
                self.faults[*call as usize][*fault as usize] += other.of(*call, *fault);
            }
        }
    }

    /// How often the call was made.
    pub fn calls(&self, call: Call) -> u64 {
        self.calls[call as usize]
    }

    /// How often that became of it.
    pub fn of(&self, call: Call, fault: Fault) -> u64 {
        self.faults[call as usize][fault as usize]
    }

    /// How often that became of any call.
    pub fn total(&self, fault: Fault) -> u64 {
        Call::ALL.iter().map(|call| self.of(*call, fault)).sum()
    }

    /// What may become of calls and never did.
    pub fn missing(&self) -> Vec<(Call, Fault)> {
        let all = Call::ALL
            .iter()
            .flat_map(|call| Fault::ALL.iter().map(|fault| (*call, *fault)));
        all.filter(|(call, fault)| call.may(*fault) && self.of(*call, *fault) == 0)
            .collect()
    }
}
