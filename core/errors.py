"""Every error tradedeck raises on purpose.

TradedeckError                    what was wrong · what was expected · what to do
├── ConfigError                   config.toml: unknown key, wrong type, missing limit
├── DomainError
│   ├── InvalidInstrumentId       an id outside the grammar
│   ├── InvalidOrder              an order that cannot exist (quantity, price, combination)
│   └── IllegalTransition         an order event that the order's life does not allow
├── StoreError
│   ├── HomeLocked                another engine holds this data directory
│   ├── JournalDamaged            a record inside the journal cannot be trusted
│   ├── JournalTooNew             written by a newer program
│   ├── StoreAway                 a store's server cannot be reached or does not start
│   ├── ConfigDamaged             a promoted config is not what its hash says
│   └── DiskFull                  the write did not happen, the reserve is gone too
├── VenueError                    a venue cannot be reached or speaks nonsense
├── TapeError                     a recorded file: line number and reason
├── PromotionRefused              a config may not become active: gates, or another one did meanwhile
├── ResearchError                 data, a study or a set of parameters that cannot be used
└── ClientError
    ├── NoEngine                  nobody answers on the socket
    ├── ProtocolMismatch          engine and client speak different versions
    └── SequenceGap               the numbered stream skipped; a new snapshot is needed
"""


class TradedeckError(Exception):
    """Base of all errors that a user may meet; its text is a whole sentence."""


class ConfigError(TradedeckError):
    """A configuration file, key or value is not usable."""


class DomainError(TradedeckError):
    """A value outside the rules of the domain."""


class InvalidInstrumentId(DomainError):
    """Text that is not a canonical instrument id."""

    def __init__(self, text: str, part: str, why: str, example: str) -> None:
        super().__init__(f'instrument id "{text}": {part} {why}; for example {example}')
        self.text, self.part, self.why, self.example = text, part, why, example


class InvalidOrder(DomainError):
    """An order that cannot exist, whatever the limits."""


class IllegalTransition(DomainError):
    """An event that the order's present status does not allow."""


class StoreError(TradedeckError):
    """A store cannot do what was asked."""


class HomeLocked(StoreError):
    """Another engine holds the data directory."""


class JournalDamaged(StoreError):
    """A record inside the journal cannot be trusted."""


class JournalTooNew(StoreError):
    """The journal was written by a newer program."""


class StoreAway(StoreError):
    """The server behind a store cannot be reached, refuses, or does not start."""


class ConfigDamaged(StoreError):
    """A promoted config is not what it was promoted as; it is never run."""


class DiskFull(StoreError):
    """The disk is full and the reserve file has been used."""


class VenueError(TradedeckError):
    """A venue cannot be reached or answers outside its protocol."""


class TapeError(TradedeckError):
    """A recorded file cannot be played; names the line."""

    def __init__(self, path: str, line: int, why: str) -> None:
        super().__init__(f"{path}:{line}: {why}")
        self.path, self.line, self.why = path, line, why


class PromotionRefused(TradedeckError):
    """A config may not become active, or not instead of the one that is; nothing has changed."""


class ResearchError(TradedeckError):
    """Data, a study or a set of parameters cannot be used as it is; says what and where."""


class ClientError(TradedeckError):
    """The connection between a client and the engine."""


class NoEngine(ClientError):
    """Nobody answers on the engine's socket."""


class ProtocolMismatch(ClientError):
    """Engine and client speak different protocol versions."""


class SequenceGap(ClientError):
    """The numbered stream skipped; ask for a new snapshot."""
